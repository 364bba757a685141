//! The input pyramid as an operator of ONNX.

use std::f64::consts::FRAC_1_SQRT_2;

use super::blurred;
use crate::{
    layers::Conv,
    onnx::{Convolution, Graph, Value},
};

/// As [`join`](super::join).
pub fn graph_join(graph: &mut Graph, conv: &Conv, pyramid: Value, x: Value) -> Value {
    let call = Convolution { stride: 2, residual: Some(x), scale: FRAC_1_SQRT_2, ..Convolution::default() };
    graph.conv(pyramid, blurred(conv.weight()), Some(conv.bias()), call)
}
