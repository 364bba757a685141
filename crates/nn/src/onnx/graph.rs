//! A graph of operators.

/// A value of a graph: an input, a constant, or the result of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(pub(super) usize);

/// A parameter of an operator that is no value.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A text.
    Text(&'static str),
}

/// A side of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// This size.
    Fixed(usize),
    /// Any size; equal names have equal sizes.
    Free(&'static str),
}

/// An application of an operator with one result.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub operator: &'static str,
    pub inputs: Vec<Value>,
    pub output: Value,
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// The values of a constant.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    Integers(Vec<i64>),
}

/// A constant of a graph.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub value: Value,
    pub shape: Vec<usize>,
    pub data: Data,
}

/// An input or output, in single precision.
#[derive(Clone, Debug)]
pub(super) struct Port {
    pub value: Value,
    pub shape: Vec<Dim>,
}

/// A graph of ONNX operators. Every value has the type that its operator gives it: numbers are in single precision unless they were cast.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(super) names: Vec<String>,
    pub(super) nodes: Vec<Node>,
    pub(super) constants: Vec<Constant>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
}

impl Graph {
    /// Adds an input in single precision.
    pub fn input(&mut self, name: &str, shape: &[Dim]) -> Value {
        let value = self.named(name.to_owned());
        self.inputs.push(Port { value, shape: shape.to_vec() });
        value
    }

    /// Makes a value in single precision an output.
    pub fn output(&mut self, name: &str, value: Value, shape: &[Dim]) {
        let output = self.named(name.to_owned());
        self.nodes.push(Node { operator: "Identity", inputs: vec![value], output, attributes: Vec::new() });
        self.outputs.push(Port { value: output, shape: shape.to_vec() });
    }

    /// Applies an operator with one result.
    pub fn apply(
        &mut self,
        operator: &'static str,
        inputs: &[Value],
        attributes: &[(&'static str, Attribute)],
    ) -> Value {
        let output = self.named(format!("{}_{}", operator.to_lowercase(), self.names.len()));
        self.nodes.push(Node { operator, inputs: inputs.to_vec(), output, attributes: attributes.to_vec() });
        output
    }

    /// Adds a constant in single precision.
    ///
    /// # Panics
    /// Panics if the number of values does not fit the shape.
    pub fn floats(&mut self, values: Vec<f32>, shape: &[usize]) -> Value {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "values against a shape");
        self.constant(Data::Floats(values), shape)
    }

    /// Adds a constant in double precision, a list.
    pub fn doubles(&mut self, values: Vec<f64>) -> Value {
        let shape = [values.len()];
        self.constant(Data::Doubles(values), &shape)
    }

    /// Adds a list of whole numbers.
    pub fn integers(&mut self, values: &[i64]) -> Value {
        self.constant(Data::Integers(values.to_vec()), &[values.len()])
    }

    fn constant(&mut self, data: Data, shape: &[usize]) -> Value {
        let value = self.named(format!("constant_{}", self.names.len()));
        self.constants.push(Constant { value, shape: shape.to_vec(), data });
        value
    }

    fn named(&mut self, name: String) -> Value {
        self.names.push(name);
        Value(self.names.len() - 1)
    }

    /// The number of operators.
    pub fn operators(&self) -> usize {
        self.nodes.len()
    }
}
