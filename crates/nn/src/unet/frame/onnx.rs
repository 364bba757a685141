//! Zero padding to a size that all levels can halve, as operators of ONNX.

use super::Frame;
use crate::onnx::{Graph, Value};

impl Frame {
    /// As [`Frame::enter`], for images of any size.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to `[batch, channels, padded height, padded width]`
    pub fn graph_enter(&self, graph: &mut Graph, x: Value, spatial: Option<Value>) -> Value {
        let x = match spatial {
            Some(spatial) => graph.concat(&[x, spatial], 1),
            None => x,
        };
        if self.stride == 1 {
            return x;
        }
        // -side mod stride rows or columns are missing.
        let sides = graph.sides(x, 2, 4);
        let negative = graph.unary("Neg", sides);
        let stride = graph.integers(&[self.stride as i64]);
        let missing = graph.apply("Mod", &[negative, stride], &[]);
        let before = graph.integers(&[0; 6]);
        let pads = graph.concat(&[before, missing], 0);
        graph.apply("Pad", &[x, pads], &[])
    }

    /// As [`Frame::leave`] for the result of an input that did not pass through [`Frame::graph_enter`] yet.
    pub fn graph_leave(&self, graph: &mut Graph, y: Value, input: Value) -> Value {
        if self.stride == 1 {
            return y;
        }
        let sides = graph.sides(input, 2, 4);
        graph.crop(y, sides)
    }
}
