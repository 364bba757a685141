//! Layers that preserve magnitudes as operators of ONNX. Weights are normalized when the graph is made.

use std::f64::consts::SQRT_2;

use super::{EPSILON, Fourier, MpConv, MpLinear, SILU};
use crate::onnx::{Convolution, Graph, Value};

/// As [`mp_sum`](super::mp_sum).
pub fn graph_sum(graph: &mut Graph, [a, b]: [Value; 2], t: f64) -> Value {
    let norm = (1.0 - t).hypot(t);
    let (a, b) = (graph.scaled(a, (1.0 - t) / norm), graph.scaled(b, t / norm));
    graph.add(a, b)
}

/// As [`mp_silu`](super::mp_silu).
pub fn graph_silu(graph: &mut Graph, x: Value) -> Value {
    let y = graph.silu(x);
    graph.scaled(y, 1.0 / SILU)
}

/// As [`pixel_norm`](super::pixel_norm), over an axis.
pub fn graph_pixel_norm(graph: &mut Graph, x: Value, axis: i64) -> Value {
    let squares = graph.mul(x, x);
    let mean = graph.mean(squares, &[axis]);
    let rms = graph.unary("Sqrt", mean);
    let rms = graph.plus(rms, EPSILON);
    graph.div(x, rms)
}

impl Fourier {
    /// # Shapes
    /// `[batch, 1]` to `[batch, count]`
    pub fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        let [frequencies, phases] =
            [&self.frequencies, &self.phases].map(|values| graph.tensor(values.val().unsqueeze::<2>()));
        let angles = graph.mul(x, frequencies);
        let angles = graph.add(angles, phases);
        let waves = graph.unary("Cos", angles);
        graph.scaled(waves, SQRT_2)
    }
}

impl MpLinear {
    /// # Shapes
    /// `[batch, in]` to `[batch, out]`
    pub fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        let weight = graph.tensor(self.weight());
        graph.apply("MatMul", &[x, weight], &[])
    }
}

impl MpConv {
    /// # Shapes
    /// `[batch, in, height, width]` to `[batch, out, height, width]`
    pub fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        graph.conv(x, self.weight(), None, Convolution::default())
    }
}
