//! EDM's preconditioners (arXiv 2206.00364, table 1), from their pickled classes and attributes.

use pfgm_torch::Value;

/// Preconditioner of a network, which converts its output to a denoiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preconditioner {
    /// The formulas.
    pub kind: Kind,
    /// The lowest and the highest noise level of the network.
    pub range: (f64, f64),
    /// D of PFGM++; None if the file does not have the attribute, as EDM's own files.
    pub extra_dims: Option<f64>,
}

/// The formulas of a preconditioner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `EDMPrecond`, and EDM2's `Precond`: EDM, PFGM++ and EDM2.
    Edm {
        /// Standard deviation of the data.
        sigma_data: f64,
    },
    /// `VPPrecond`: noise of the variance-preserving process.
    Vp {
        /// Rate of the noise at t = 0.
        beta_min: f64,
        /// Rate of the noise at t = 1.
        beta_max: f64,
    },
    /// `VEPrecond`: score of the variance-exploding process, times sigma.
    Ve,
    /// `iDDPMPrecond`: noise at the steps of the squared cosine schedule; the second half of the outputs, a variance, is not used.
    Iddpm {
        /// Number of steps.
        steps: usize,
    },
}

/// The constants of iDDPM's schedule: the least ratio of two alpha-bars, and the offset of time.
const IDDPM_CONSTANTS: [(&str, f64); 2] = [("C_1", 1e-3), ("C_2", 8e-3)];

/// The number of steps of the discrete VP process, whose times from 0 to 999 are inputs of its networks.
const VP_STEPS: f64 = 1000.0;

impl Preconditioner {
    /// Reads a module; None if it is a dictionary of weights, or a network without a preconditioner.
    ///
    /// The error says what is not supported.
    pub fn read(module: Value<'_>) -> Result<Option<Self>, String> {
        let Some(class) = module.class() else { return Ok(None) };
        let number = |name: &str| module.get(name).and_then(Value::as_f64);
        let wanted = |name: &str| number(name).ok_or_else(|| format!("its {class} has no attribute `{name}`"));
        let kind = match class.rsplit('.').next().unwrap_or(class) {
            // EDM2 calls its own `Precond`.
            "EDMPrecond" | "Precond" => Kind::Edm { sigma_data: wanted("sigma_data")? },
            "VPPrecond" => {
                if wanted("M")? != VP_STEPS {
                    return Err(format!("its VPPrecond has M = {}; only 1000 is supported", wanted("M")?));
                }
                let beta_min = wanted("beta_min")?;
                Kind::Vp { beta_min, beta_max: beta_min + wanted("beta_d")? }
            }
            "VEPrecond" => Kind::Ve,
            "iDDPMPrecond" => {
                for (name, value) in IDDPM_CONSTANTS {
                    if wanted(name)? != value {
                        return Err(format!(
                            "its iDDPMPrecond has {name} = {}; only {value} is supported",
                            wanted(name)?
                        ));
                    }
                }
                let steps = module.get("M").and_then(Value::as_int).and_then(|steps| usize::try_from(steps).ok());
                Kind::Iddpm { steps: steps.ok_or("its iDDPMPrecond has no whole number `M`")? }
            }
            name if name.ends_with("Precond") => {
                return Err(format!(
                    "its preconditioner {name} is not supported; EDMPrecond, VPPrecond, VEPrecond and iDDPMPrecond are"
                ));
            }
            _ => return Ok(None),
        };
        // PFGM++'s code stores D in the inner network. Its attribute `pfgmpp` is false even in published files.
        let network = module.get("_modules").and_then(|modules| modules.get("model"));
        let d = [Some(module), network].into_iter().flatten().find_map(|module| module.get("D")?.as_f64());
        let extra_dims = d.filter(|&d| d > 0.0 && d.is_finite());
        let range = (number("sigma_min").unwrap_or(0.0), number("sigma_max").unwrap_or(f64::INFINITY));
        Ok(Some(Self { kind, range, extra_dims }))
    }
}
