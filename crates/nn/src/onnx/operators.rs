//! Operators of networks, composed of ONNX's.

use burn::tensor::Tensor;
use pfgm_burn_ops::Filter;

use super::graph::{Attribute, Graph, Value};

/// The input of a network as values of a graph, as [`NetworkInput`](crate::NetworkInput).
#[derive(Clone, Copy, Debug)]
pub struct GraphInput {
    /// Scaled points: `[batch, channels, height, width]`, or `[batch, N]` of vectors.
    pub x: Value,
    /// Embedded noise level, `[batch, 1]`.
    pub noise: Value,
    /// `ln(s / sigma) / 4` with the noise level s estimated from the point, `[batch, 1]`.
    pub log_sigma_ratio: Value,
    /// One-hot classes, `[batch, classes]`.
    pub classes: Option<Value>,
    /// Spatial conditioning, `[batch, channels, height, width]`.
    pub spatial: Option<Value>,
}

/// How a convolution is computed.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    pub stride: usize,
    pub dilation: usize,
    /// Rows or columns of zeros above, left, below, right; half of the kernel if `None`.
    pub pads: Option<[i64; 4]>,
    /// Values of each image and channel that are added, `[batch, channels]`.
    pub shift: Option<Value>,
    /// An image that is added.
    pub residual: Option<Value>,
    /// The factor of the sum.
    pub scale: f64,
}

impl Default for Convolution {
    fn default() -> Self {
        Self { stride: 1, dilation: 1, pads: None, shift: None, residual: None, scale: 1.0 }
    }
}

/// The values of a tensor, in the order of its rows.
fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("it was converted")
}

impl Graph {
    /// Adds a tensor as a constant.
    pub(crate) fn tensor<const D: usize>(&mut self, tensor: Tensor<D>) -> Value {
        let shape = tensor.dims();
        let values = values(tensor);
        self.floats(values, &shape)
    }

    /// Adds one number in single precision, a constant that broadcasts.
    pub(crate) fn scalar(&mut self, value: f64) -> Value {
        self.floats(vec![value as f32], &[1])
    }

    /// The sum of two values.
    pub fn add(&mut self, a: Value, b: Value) -> Value {
        self.apply("Add", &[a, b], &[])
    }

    /// The difference of two values.
    pub fn sub(&mut self, a: Value, b: Value) -> Value {
        self.apply("Sub", &[a, b], &[])
    }

    /// The product of two values.
    pub fn mul(&mut self, a: Value, b: Value) -> Value {
        self.apply("Mul", &[a, b], &[])
    }

    /// The quotient of two values.
    pub fn div(&mut self, a: Value, b: Value) -> Value {
        self.apply("Div", &[a, b], &[])
    }

    /// Applies an operator without attributes to one value.
    pub fn unary(&mut self, operator: &'static str, x: Value) -> Value {
        self.apply(operator, &[x], &[])
    }

    /// Multiplies a value in single precision by a number.
    pub(crate) fn scaled(&mut self, x: Value, factor: f64) -> Value {
        if factor == 1.0 {
            return x;
        }
        let factor = self.scalar(factor);
        self.mul(x, factor)
    }

    pub(crate) fn plus(&mut self, x: Value, number: f64) -> Value {
        let number = self.scalar(number);
        self.add(x, number)
    }

    pub(crate) fn silu(&mut self, x: Value) -> Value {
        let gate = self.unary("Sigmoid", x);
        self.mul(x, gate)
    }

    /// The mean over an axis, which stays with size 1.
    pub(crate) fn mean(&mut self, x: Value, axes: &[i64]) -> Value {
        let axes = self.integers(axes);
        self.apply("ReduceMean", &[x, axes], &[])
    }

    /// Concatenates along an axis.
    pub fn concat(&mut self, parts: &[Value], axis: i64) -> Value {
        self.apply("Concat", parts, &[("axis", Attribute::Int(axis))])
    }

    /// Reshapes to sides of which 0 is "as before" and -1 is "the rest".
    pub(crate) fn reshape(&mut self, x: Value, sides: &[i64]) -> Value {
        let sides = self.integers(sides);
        self.apply("Reshape", &[x, sides], &[])
    }

    /// Reshapes to sides that are known at run time.
    pub(crate) fn reshape_to(&mut self, x: Value, sides: Value) -> Value {
        self.apply("Reshape", &[x, sides], &[])
    }

    /// The sides of a value from an axis to an axis before the end.
    pub(crate) fn sides(&mut self, x: Value, from: i64, to: i64) -> Value {
        self.apply("Shape", &[x], &[("start", Attribute::Int(from)), ("end", Attribute::Int(to))])
    }

    /// Adds two axes of size 1: `[batch, channels]` to `[batch, channels, 1, 1]`.
    pub(crate) fn per_image(&mut self, x: Value) -> Value {
        let axes = self.integers(&[2, 3]);
        self.apply("Unsqueeze", &[x, axes], &[])
    }

    /// A slice of an axis.
    pub(crate) fn slice(&mut self, x: Value, axis: i64, from: i64, to: i64) -> Value {
        let bounds = [self.integers(&[from]), self.integers(&[to]), self.integers(&[axis])];
        self.apply("Slice", &[x, bounds[0], bounds[1], bounds[2]], &[])
    }

    /// The first rows and columns of an image.
    ///
    /// # Shapes
    /// `sides`: `[2]`
    pub(crate) fn crop(&mut self, x: Value, sides: Value) -> Value {
        let (from, axes) = (self.integers(&[0, 0]), self.integers(&[2, 3]));
        self.apply("Slice", &[x, from, sides, axes], &[])
    }

    /// What remains of an image when the mean of each block of 2x2 pixels is subtracted, without the last row or column of an odd side.
    pub fn details_2x2(&mut self, x: Value) -> Value {
        let sides = self.sides(x, 2, 4);
        let two = self.integers(&[2]);
        let odd = self.apply("Mod", &[sides, two], &[]);
        let even = self.sub(sides, odd);
        let x = self.crop(x, even);
        let means = self.resampled(x, false, Filter::Box, 0);
        let means = self.resampled(means, true, Filter::Box, 0);
        self.sub(x, means)
    }

    /// The positions of an image's pixels from -1 to 1: across, then down.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to `[batch, 2, height, width]`
    pub fn positions(&mut self, x: Value) -> Value {
        let batch = self.sides(x, 0, 1);
        let place = self.sides(x, 2, 4);
        let one = self.integers(&[1]);
        let all = self.concat(&[batch, one, place], 0);
        let axes = [(3_i64, [1, 1, 1, -1]), (2, [1, 1, -1, 1])];
        let parts = axes.map(|(axis, shape)| {
            let side = self.sides(x, axis, axis + 1);
            let (none, zero, step) = (self.integers(&[0]), self.integers(&[0]), self.integers(&[1]));
            let [zero, step, count] = [zero, step, side].map(|value| self.apply("Squeeze", &[value, none], &[]));
            let float = [("to", Attribute::Int(1))];
            let at = self.apply("Range", &[zero, count, step], &[]);
            let at = self.apply("Cast", &[at], &float);
            let at = self.scaled(at, 2.0);
            let at = self.plus(at, 1.0);
            let side = self.apply("Cast", &[side], &float);
            let at = self.div(at, side);
            let at = self.plus(at, -1.0);
            let at = self.reshape(at, &shape);
            self.apply("Expand", &[at, all], &[])
        });
        self.concat(&parts, 1)
    }

    /// An image that is enlarged by bilinear interpolation; pixels beyond the border are those at the border.
    pub fn enlarged(&mut self, x: Value, factor: usize) -> Value {
        let none = self.floats(Vec::new(), &[0]);
        let scales = self.floats(vec![1.0, 1.0, factor as f32, factor as f32], &[4]);
        let attributes =
            [("mode", Attribute::Text("linear")), ("coordinate_transformation_mode", Attribute::Text("half_pixel"))];
        self.apply("Resize", &[x, none, scales], &attributes)
    }

    /// A channel with the same value at each pixel of an image.
    ///
    /// # Shapes
    /// `level`: `[batch]`, `image`: `[batch, channels, height, width]`; the result: `[batch, 1, height, width]`
    pub fn level_channel(&mut self, level: Value, image: Value) -> Value {
        let level = self.reshape(level, &[-1, 1, 1, 1]);
        let (batch, place, one) = (self.sides(image, 0, 1), self.sides(image, 2, 4), self.integers(&[1]));
        let sides = self.concat(&[batch, one, place], 0);
        self.apply("Expand", &[level, sides], &[])
    }

    /// A convolution of weights `[kernel, kernel, in, out]` and, if there is one, a bias.
    pub(crate) fn conv(&mut self, x: Value, weight: Tensor<4>, bias: Option<Tensor<1>>, call: Convolution) -> Value {
        let [rows, columns, _, _] = weight.dims();
        let Convolution { stride, dilation, pads, shift, residual, scale } = call;
        let mut inputs = vec![x, self.tensor(weight.permute([3, 2, 0, 1]))];
        inputs.extend(bias.map(|bias| self.tensor(bias)));
        let (above, left) = ((dilation * (rows / 2)) as i64, (dilation * (columns / 2)) as i64);
        let pads = pads.unwrap_or([above, left, above, left]);
        let attributes = [
            ("kernel_shape", Attribute::Ints(vec![rows as i64, columns as i64])),
            ("strides", Attribute::Ints(vec![stride as i64; 2])),
            ("dilations", Attribute::Ints(vec![dilation as i64; 2])),
            ("pads", Attribute::Ints(pads.to_vec())),
        ];
        let mut y = self.apply("Conv", &inputs, &attributes);
        if let Some(shift) = shift {
            let shift = self.per_image(shift);
            y = self.add(y, shift);
        }
        if let Some(residual) = residual {
            y = self.add(y, residual);
        }
        self.scaled(y, scale)
    }

    /// Normalizes groups of channels to zero mean and unit variance.
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels, ...]`
    pub(crate) fn normalized(&mut self, x: Value, groups: usize, epsilon: f64) -> Value {
        let sides = self.unary("Shape", x);
        let apart = self.reshape(x, &[0, groups as i64, -1]);
        let (ones, zeros) = (self.floats(vec![1.0; groups], &[groups]), self.floats(vec![0.0; groups], &[groups]));
        let epsilon = [("epsilon", Attribute::Float(epsilon as f32))];
        let y = self.apply("InstanceNormalization", &[apart, ones, zeros], &epsilon);
        self.reshape_to(y, sides)
    }

    /// Halves or doubles an image.
    pub(crate) fn resampled(&mut self, x: Value, up: bool, filter: Filter, channels: usize) -> Value {
        let two = || Attribute::Ints(vec![2, 2]);
        match (filter, up) {
            (Filter::Box, false) => self.apply("AveragePool", &[x], &[("kernel_shape", two()), ("strides", two())]),
            (Filter::Box, true) => {
                let (none, scales) = (self.floats(Vec::new(), &[0]), self.floats(vec![1.0, 1.0, 2.0, 2.0], &[4]));
                let attributes = [
                    ("mode", Attribute::Text("nearest")),
                    ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
                    ("nearest_mode", Attribute::Text("floor")),
                ];
                self.apply("Resize", &[x, none, scales], &attributes)
            }
            (Filter::Binomial, _) => {
                let taps = filter.taps();
                let gain = if up { 4.0 } else { 1.0 };
                let square = taps.iter().flat_map(|a| taps.iter().map(move |b| gain * a * b));
                let count = taps.len();
                let all: Vec<f32> = (0..channels).flat_map(|_| square.clone()).collect();
                let weight = self.floats(all, &[channels, 1, count, count]);
                let attributes = [
                    ("kernel_shape", Attribute::Ints(vec![count as i64; 2])),
                    ("strides", two()),
                    ("pads", Attribute::Ints(vec![(count / 2 - 1) as i64; 4])),
                    ("group", Attribute::Int(channels as i64)),
                ];
                self.apply(if up { "ConvTranspose" } else { "Conv" }, &[x, weight], &attributes)
            }
        }
    }

    /// Attention over the pixels from queries, keys and values.
    ///
    /// # Shapes
    /// `qkv`: `[batch, 3 channels, height, width]`; the result: `[batch, channels, height, width]`
    pub(crate) fn attention(&mut self, qkv: Value, channels: usize, heads: usize) -> Value {
        let parts = self.head_parts(qkv, channels, heads);
        let place = self.sides(qkv, 2, 4);
        self.mixed(parts, place, [channels, heads])
    }

    /// Splits queries, keys and values into heads.
    ///
    /// # Shapes
    /// `[batch, 3 channels, height, width]` to `[batch, 3, heads, channels / heads, pixels]`
    pub(crate) fn head_parts(&mut self, qkv: Value, channels: usize, heads: usize) -> Value {
        self.reshape(qkv, &[0, 3, heads as i64, (channels / heads) as i64, -1])
    }

    /// Attention of queries, keys and values, which stand one after another.
    ///
    /// # Shapes
    /// `parts`: `[batch, 3, heads, channels / heads, pixels]`, `place`: the height and width
    pub(crate) fn mixed(&mut self, parts: Value, place: Value, [channels, heads]: [usize; 2]) -> Value {
        let [queries, keys, values] = [0, 1, 2].map(|which| {
            let part = self.slice(parts, 1, which, which + 1);
            self.reshape(part, &[0, heads as i64, (channels / heads) as i64, -1])
        });
        let swap = [("perm", Attribute::Ints(vec![0, 1, 3, 2]))];
        let queries = self.apply("Transpose", &[queries], &swap);
        let logits = self.apply("MatMul", &[queries, keys], &[]);
        let logits = self.scaled(logits, ((channels / heads) as f64).powf(-0.5));
        let shares = self.apply("Softmax", &[logits], &[("axis", Attribute::Int(-1))]);
        let shares = self.apply("Transpose", &[shares], &swap);
        let mixed = self.apply("MatMul", &[values, shares], &[]);
        let front = self.integers(&[0, channels as i64]);
        let sides = self.concat(&[front, place], 0);
        self.reshape_to(mixed, sides)
    }
}
