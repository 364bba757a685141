//! The matrix product of a linear layer, and its gradient for the input.

use pulp::Arch;

use crate::{
    Buffer,
    conv2d::transpose,
    elementwise::dot_rows,
    matrix::{Matrix, Then, Threads, multiply_rows},
};

/// Computes `y = x weight`. Each row of `y` depends on its own row of `x` alone, to the bit.
///
/// # Shapes
/// `x`: `[batch, inputs]`, `weight`: `[inputs, outputs]`, `y` (overwritten): `[batch, outputs]`
///
/// # Panics
/// If the lengths do not match.
pub fn forward(arch: Arch, inputs: usize, x: &[f32], weight: &[f32], y: &mut [f32]) {
    let (batch, outputs) = (x.len() / inputs, weight.len() / inputs);
    assert!(x.len() == batch * inputs && weight.len() == inputs * outputs, "linear: rows of {inputs}");
    assert_eq!(y.len(), batch * outputs, "linear: the output of {inputs} to {outputs}");
    if outputs == 1 {
        y.fill(0.0);
        dot_rows(arch, x, weight, y);
    } else if batch > 0 {
        let (x, weight) = (Matrix::new(x, batch, inputs), Matrix::new(weight, inputs, outputs));
        multiply_rows(x, weight, y, Then::Write, Threads::All);
    }
}

/// Computes the gradient for the input, `dx = dy weight^T`.
///
/// # Shapes
/// `dy`: `[batch, outputs]`, `weight`: `[inputs, outputs]`, `dx` (overwritten): `[batch, inputs]`
///
/// # Panics
/// If the lengths do not match.
pub fn input_gradient(arch: Arch, outputs: usize, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let inputs = weight.len() / outputs;
    assert_eq!(weight.len(), inputs * outputs, "linear: columns of {outputs}");
    let mut transposed = Buffer::new(weight.len());
    transpose(weight, inputs, transposed.values_mut());
    forward(arch, outputs, dy, transposed.values(), dx);
}
