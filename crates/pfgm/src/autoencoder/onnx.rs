//! Autoencoders as graphs of ONNX.

use super::{Autoencoder, LOG_VARIANCE, PIXELS};
use crate::network::onnx::{Dim, Graph, Value};

/// Half of an autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoencoderPart {
    /// From images to the means and standard deviations of latents.
    Encoder,
    /// From latents to images.
    Decoder,
}

impl Autoencoder {
    /// `mean, std = (image)`.
    pub(crate) fn encoder_graph(&self) -> Graph {
        let graph = &mut Graph::default();
        let image = graph.input("image", &sides(self.config.image, ["height", "width"]));
        // low + (image + 1) (high - low) / 2
        let half = 0.5 * f64::from(self.pixels.1 - self.pixels.0);
        let pixels = self.with_range(graph, image, half, f64::from(self.pixels.0) + half);
        let [mean, logarithms] = self.network.graph_encode(graph, pixels);
        let (low, high) = LOG_VARIANCE;
        let (low, high, half) =
            (graph.floats(vec![low], &[]), graph.floats(vec![high], &[]), graph.floats(vec![0.5], &[1]));
        let logarithms = graph.apply("Clip", &[logarithms, low, high], &[]);
        let logarithms = graph.mul(logarithms, half);
        let std = graph.unary("Exp", logarithms);
        let (shift, scale) = self.channels(graph);
        let mean = graph.sub(mean, shift);
        let (mean, std) = (graph.div(mean, scale), graph.div(std, scale));
        let sides = sides(self.config.latent, ["latent_height", "latent_width"]);
        graph.output("mean", mean, &sides);
        graph.output("std", std, &sides);
        std::mem::take(graph)
    }

    /// `image = (latents)`.
    pub(crate) fn decoder_graph(&self) -> Graph {
        let graph = &mut Graph::default();
        let latents = graph.input("latents", &sides(self.config.latent, ["latent_height", "latent_width"]));
        let (shift, scale) = self.channels(graph);
        let latents = graph.mul(latents, scale);
        let latents = graph.add(latents, shift);
        let pixels = self.network.graph_decode(graph, latents);
        // 2 (pixel - low) / (high - low) - 1
        let factor = 2.0 / f64::from(self.pixels.1 - self.pixels.0);
        let image = self.with_range(graph, pixels, factor, -factor * f64::from(self.pixels.0) - 1.0);
        graph.output("image", image, &sides(self.config.image, ["height", "width"]));
        std::mem::take(graph)
    }

    /// `factor x + offset`; `x` for the usual range of pixels.
    fn with_range(&self, graph: &mut Graph, x: Value, factor: f64, offset: f64) -> Value {
        if self.pixels == PIXELS {
            return x;
        }
        let (factor, offset) = (graph.floats(vec![factor as f32], &[1]), graph.floats(vec![offset as f32], &[1]));
        let x = graph.mul(x, factor);
        graph.add(x, offset)
    }

    /// Shift and scale of each channel of the latents.
    fn channels(&self, graph: &mut Graph) -> (Value, Value) {
        let shape = [self.config.latent, 1, 1];
        let mut constant = |values: &[f64]| graph.floats(values.iter().map(|value| *value as f32).collect(), &shape);
        (constant(&self.shift), constant(&self.scale))
    }
}

fn sides(channels: usize, [height, width]: [&'static str; 2]) -> [Dim; 4] {
    [Dim::Free("batch"), Dim::Fixed(channels), Dim::Free(height), Dim::Free(width)]
}
