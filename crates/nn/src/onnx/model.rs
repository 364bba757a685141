//! Files of ONNX (onnx.ai/onnx/repo-docs/IR.html), with the field numbers of `onnx.proto`.

use std::{
    collections::HashSet,
    io::{self, Write},
};

use super::{
    graph::{Attribute, Constant, Data, Dim, Graph, Port},
    wire::{Message, write_floats},
};

/// Version of the operators.
pub const OPSET: i64 = 18;
/// Version of the file format, which goes with the operators.
pub const IR_VERSION: i64 = 8;

/// Constants of fewer values stay in the model if the others are in a file of their own.
const SMALL: usize = 256;

/// Numbers of `TensorProto.DataType`.
const FLOAT: i64 = 1;
const INT64: i64 = 7;
const DOUBLE: i64 = 11;

impl Graph {
    /// The graph as the bytes of a file. `metadata` are keys and values.
    pub fn to_bytes(&self, name: &str, metadata: &[(&str, String)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(name, metadata, None, &mut bytes).expect("memory can be written to");
        bytes
    }

    /// Writes the graph. If `weights` is the name of a file in the same folder, the large constants are in that file:
    /// [`Graph::write_weights`] writes it.
    ///
    /// # Errors
    /// Returns the error of `out`.
    pub fn write(
        &self,
        name: &str,
        metadata: &[(&str, String)],
        weights: Option<&str>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut model = Message::default();
        model.integer(1, IR_VERSION).bytes(2, b"pfgm").bytes(3, env!("CARGO_PKG_VERSION").as_bytes());
        model.message(7, self.message(name, weights));
        let mut opset = Message::default();
        opset.bytes(1, b"").integer(2, OPSET);
        model.message(8, opset);
        for (key, value) in metadata {
            model.message(14, pair(key, value));
        }
        model.write(out)
    }

    /// Writes the large constants, one after another.
    ///
    /// # Errors
    /// Returns the error of `out`.
    pub fn write_weights(&self, out: &mut impl Write) -> io::Result<()> {
        self.constants.iter().filter_map(large).try_for_each(|values| write_floats(values, out))
    }

    /// The number of bytes of all constants. A file of Protocol Buffers has at most 2^31.
    pub fn weight_bytes(&self) -> usize {
        let bytes = |constant: &Constant| match &constant.data {
            Data::Floats(values) => size_of_val(values.as_slice()),
            Data::Doubles(values) => size_of_val(values.as_slice()),
            Data::Integers(values) => size_of_val(values.as_slice()),
        };
        self.constants.iter().map(bytes).sum()
    }

    fn message(&self, name: &str, weights: Option<&str>) -> Message<'_> {
        let mut graph = Message::default();
        for node in &self.nodes {
            let mut message = Message::default();
            for input in &node.inputs {
                message.bytes(1, self.name(input.0));
            }
            message.bytes(2, self.name(node.output.0)).bytes(3, self.name(node.output.0));
            message.bytes(4, node.operator.as_bytes());
            for (name, attribute) in &node.attributes {
                message.message(5, attribute_of(name, attribute));
            }
            graph.message(1, message);
        }
        graph.bytes(2, if name.is_empty() { b"model" } else { name.as_bytes() });
        let mut offset = 0;
        // A network may not use all that it gets. Large constants are weights, which it does use.
        let used: HashSet<usize> = self.nodes.iter().flat_map(|node| &node.inputs).map(|input| input.0).collect();
        let is_written = |constant: &&Constant| used.contains(&constant.value.0) || large(constant).is_some();
        for constant in self.constants.iter().filter(is_written) {
            graph.message(5, self.constant_tensor(constant, weights, &mut offset));
        }
        for port in &self.inputs {
            graph.message(11, self.port(port));
        }
        for port in &self.outputs {
            graph.message(12, self.port(port));
        }
        graph
    }

    fn name(&self, value: usize) -> &[u8] {
        self.names[value].as_bytes()
    }

    /// A constant, or its place in another file.
    fn constant_tensor<'a>(&'a self, constant: &'a Constant, weights: Option<&str>, offset: &mut usize) -> Message<'a> {
        let mut tensor = Message::default();
        for &side in &constant.shape {
            tensor.integer(1, side as i64);
        }
        let kind = match constant.data {
            Data::Floats(_) => FLOAT,
            Data::Doubles(_) => DOUBLE,
            Data::Integers(_) => INT64,
        };
        tensor.integer(2, kind).bytes(8, self.name(constant.value.0));
        match (weights, large(constant), &constant.data) {
            (Some(file), Some(values), _) => {
                let length = size_of_val(values);
                tensor.message(13, pair("location", file));
                tensor.message(13, pair("offset", &offset.to_string()));
                tensor.message(13, pair("length", &length.to_string()));
                tensor.integer(14, 1);
                *offset += length;
            }
            (_, _, Data::Floats(values)) => {
                tensor.floats(9, values);
            }
            (_, _, Data::Doubles(values)) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                tensor.bytes(9, &bytes);
            }
            (_, _, Data::Integers(values)) => {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                tensor.bytes(9, &bytes);
            }
        }
        tensor
    }

    fn port(&self, port: &Port) -> Message<'static> {
        let mut shape = Message::default();
        for dim in &port.shape {
            let mut side = Message::default();
            match dim {
                Dim::Fixed(size) => side.integer(1, *size as i64),
                Dim::Free(name) => side.bytes(2, name.as_bytes()),
            };
            shape.message(1, side);
        }
        let mut tensor = Message::default();
        tensor.integer(1, FLOAT).message(2, shape);
        let mut kind = Message::default();
        kind.message(1, tensor);
        let mut message = Message::default();
        message.bytes(1, self.name(port.value.0)).message(2, kind);
        message
    }
}

/// The values of a constant that may be in another file.
fn large(constant: &Constant) -> Option<&[f32]> {
    match &constant.data {
        Data::Floats(values) if values.len() >= SMALL => Some(values),
        _ => None,
    }
}

fn pair(key: &str, value: &str) -> Message<'static> {
    let mut pair = Message::default();
    pair.bytes(1, key.as_bytes()).bytes(2, value.as_bytes());
    pair
}

/// An attribute, with the number of its type.
fn attribute_of(name: &str, attribute: &Attribute) -> Message<'static> {
    let mut message = Message::default();
    message.bytes(1, name.as_bytes());
    match attribute {
        Attribute::Float(value) => message.float(2, *value).integer(20, 1),
        Attribute::Int(value) => message.integer(3, *value).integer(20, 2),
        Attribute::Text(text) => message.bytes(4, text.as_bytes()).integer(20, 3),
        Attribute::Ints(values) => {
            for value in values {
                message.integer(8, *value);
            }
            message.integer(20, 7)
        }
    };
    message
}
