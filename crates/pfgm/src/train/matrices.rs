//! The matrices among the weights of a network.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::Tensor,
};

/// Neighboring weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) size: usize,
    /// Number of outputs, which vary fastest, of a matrix or convolution; `None` for vectors, such as biases, gains and frequencies.
    pub(super) outputs: Option<usize>,
}

/// All weights of a network, which are one vector in the order of its definition. Vectors beside each other are one part.
pub(super) fn parts(network: &impl Module) -> Vec<Part> {
    struct Reader(Vec<Part>);
    impl ModuleVisitor for Reader {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let shape = param.val().dims();
            let size = shape.iter().product();
            let outputs = (D > 1).then(|| shape[D - 1]);
            match (self.0.last_mut(), outputs) {
                (Some(Part { size: before, outputs: None }), None) => *before += size,
                _ => self.0.push(Part { size, outputs }),
            }
        }
    }
    let mut reader = Reader(Vec::new());
    network.visit(&mut reader);
    reader.0
}
