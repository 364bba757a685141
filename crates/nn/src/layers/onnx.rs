//! The layers as operators of ONNX.

use burn::{module::Param, tensor::Tensor};

use super::{Activation, Conv, EmbeddingMlp, GroupNorm, Linear};
use crate::onnx::{Convolution, Graph, Value};

impl Linear {
    /// # Shapes
    /// `[batch, in]` to `[batch, out]`
    pub fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        let weight = graph.tensor(self.weight.val());
        let y = graph.apply("MatMul", &[x, weight], &[]);
        match &self.bias {
            Some(bias) => {
                let bias = graph.tensor(bias.val());
                graph.add(y, bias)
            }
            None => y,
        }
    }
}

impl Conv {
    /// # Shapes
    /// `[batch, in, height, width]` to `[batch, out, height, width]`
    pub fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        self.graph_with(graph, x, Convolution::default())
    }

    /// As [`Conv::graph`], with other options.
    pub fn graph_with(&self, graph: &mut Graph, x: Value, call: Convolution) -> Value {
        graph.conv(x, self.weight.val(), self.bias.as_ref().map(Param::val), call)
    }
}

impl GroupNorm {
    /// As [`GroupNorm::forward`].
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels, height, width]`
    pub fn graph(&self, graph: &mut Graph, x: Value, activate: bool) -> Value {
        let sides = [self.channels(), 1, 1];
        self.graph_of(graph, x, &sides, activate)
    }

    /// As [`GroupNorm::forward_vector`].
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels]`
    pub fn graph_vector(&self, graph: &mut Graph, x: Value, activate: bool) -> Value {
        self.graph_of(graph, x, &[self.channels()], activate)
    }

    fn graph_of(&self, graph: &mut Graph, x: Value, sides: &[usize], activate: bool) -> Value {
        let values = |values: Tensor<1>| values.into_data().convert::<f32>().try_into_vec().expect("f32");
        let (gamma, beta) = (values(self.gamma.val()), values(self.beta.val()));
        let (gamma, beta) = (graph.floats(gamma, sides), graph.floats(beta, sides));
        self.affine(graph, x, [gamma, beta], activate)
    }

    /// As [`GroupNorm::modulated`].
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels, height, width]`, `modulation`: `[batch, 2 channels]`
    pub fn graph_modulated(&self, graph: &mut Graph, x: Value, modulation: Value, activate: bool) -> Value {
        let channels = self.channels() as i64;
        let scale = graph.slice(modulation, 1, 0, channels);
        let scale = graph.plus(scale, 1.0);
        let shift = graph.slice(modulation, 1, channels, 2 * channels);
        let (gamma, beta) = (graph.tensor(self.gamma.val()), graph.tensor(self.beta.val()));
        let (gamma, beta) = (graph.mul(scale, gamma), graph.mul(scale, beta));
        let beta = graph.add(beta, shift);
        let rows = [graph.per_image(gamma), graph.per_image(beta)];
        self.affine(graph, x, rows, activate)
    }

    fn affine(&self, graph: &mut Graph, x: Value, [gamma, beta]: [Value; 2], activate: bool) -> Value {
        let y = graph.normalized(x, self.groups, self.epsilon);
        let y = graph.mul(y, gamma);
        let y = graph.add(y, beta);
        if activate { graph.silu(y) } else { y }
    }
}

impl EmbeddingMlp {
    /// # Shapes
    /// `[batch, inputs]` to `[batch, width]`
    pub fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        let x = self.first.graph(graph, x);
        let x = graph.silu(x);
        let x = self.second.graph(graph, x);
        graph.silu(x)
    }
}

impl Activation {
    /// Applies the function to each value.
    pub(crate) fn graph(self, graph: &mut Graph, x: Value) -> Value {
        match self {
            Self::Silu => graph.silu(x),
            Self::Relu => graph.unary("Relu", x),
            Self::Gelu => {
                // x (1 + erf(x / sqrt(2))) / 2
                let part = graph.scaled(x, std::f64::consts::FRAC_1_SQRT_2);
                let part = graph.unary("Erf", part);
                let part = graph.plus(part, 1.0);
                let y = graph.mul(x, part);
                graph.scaled(y, 0.5)
            }
            Self::Mish => {
                let part = graph.unary("Softplus", x);
                let part = graph.unary("Tanh", part);
                graph.mul(x, part)
            }
        }
    }

    /// Normalizes an image and applies the function.
    pub(crate) fn graph_after(self, graph: &mut Graph, norm: &GroupNorm, x: Value) -> Value {
        let x = norm.graph(graph, x, false);
        self.graph(graph, x)
    }

    /// Normalizes an image, scales and shifts it, and applies the function.
    pub(crate) fn graph_after_modulated(
        self,
        graph: &mut Graph,
        norm: &GroupNorm,
        x: Value,
        modulation: Value,
    ) -> Value {
        let x = norm.graph_modulated(graph, x, modulation, false);
        self.graph(graph, x)
    }
}
