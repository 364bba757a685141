//! The kinds of files that can be imported, for people who ask.

/// A kind of file that can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable {
    /// Who writes such files, and how they are called.
    pub files: &'static str,
    /// The networks in them.
    pub networks: &'static str,
    /// What such a file says itself.
    pub says: &'static str,
}

/// The kinds of files that [`import`](super::import) reads.
pub const READABLE: [Readable; 6] = [
    Readable {
        files: "PFGM, score models (.pth)",
        networks: "DDPM++, NCSN++ (`all_modules.*`), NCSNv2",
        says: "the network; NCSNv2's noise levels",
    },
    Readable {
        files: "EDM, PFGM++ (.pkl, .pt)",
        networks: "DDPM++, NCSN++, ADM",
        says: "the preconditioner (EDMPrecond, VPPrecond, VEPrecond, iDDPMPrecond), noise levels, D",
    },
    Readable {
        files: "EDM2 (.pkl)",
        networks: "the magnitude-preserving U-Net, with its estimate of the loss's variance",
        says: "everything; each post-hoc EMA is a file of its own",
    },
    Readable {
        files: "diffusers (a folder)",
        networks: "UNet2DModel: (Attn)DownBlock2D, (Attn)UpBlock2D, ResnetDownsampleBlock2D, ResnetUpsampleBlock2D",
        says: "everything; weights in safetensors, .bin, or several files",
    },
    Readable {
        files: "hf:OWNER/NAME[@REVISION]",
        networks: "as a folder of diffusers, from the local cache of the Hugging Face Hub (HF_HOME, HF_HUB_CACHE)",
        says: "everything; nothing is downloaded",
    },
    Readable { files: "pfgm export (.safetensors)", networks: "every network of this program", says: "everything" },
];
