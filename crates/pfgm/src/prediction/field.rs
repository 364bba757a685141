//! PFGM's normalized Poisson field `v = -sqrt(N) E / (|E| + gamma)` with `E = (x - yhat, z)`.

use burn::tensor::Tensor;

/// How `yhat` follows from PFGM's field.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Arithmetic {
    /// The component along z is computed from the other components (docs/equations.md, section 3).
    #[default]
    Exact,
    /// As in the code of PFGM's authors: the network's own component from `z_exp` on, an approximation below, plus 1e-5.
    AuthorsCode {
        /// Height from which the network's own component is used: 5 for CIFAR-10, 1 for CelebA 64, 0.1 for LSUN bedroom 256.
        z_exp: f64,
    },
}

/// Constant that the authors' code adds to `v_z`.
const AUTHORS_SHIFT: f64 = 1e-5;

impl Arithmetic {
    /// Factor of `v_x` in `yhat = x - z v_x / v_z`.
    pub(super) fn yhat_factor(self, raw: &[f32], dim: usize, z: f64, gamma: f64) -> f64 {
        let squares: f64 = raw.iter().take(dim).map(|&v| f64::from(v) * f64::from(v)).sum();
        let radial = match self {
            Self::Exact => RadialComponent::new(squares, dim, z, gamma).value,
            Self::AuthorsCode { z_exp } if z >= z_exp => {
                f64::from(*raw.last().expect("a field has a component along z")) + AUTHORS_SHIFT
            }
            Self::AuthorsCode { .. } => authors_radial_component(squares, dim, z, gamma) + AUTHORS_SHIFT,
        };
        -z / radial
    }
}

/// Approximation of `v_z` in the authors' code: `|E|' = sqrt((gamma n / (1 - n))^2 + z^2)`.
fn authors_radial_component(squares: f64, dim: usize, z: f64, gamma: f64) -> f64 {
    let share = (squares / dim as f64).sqrt();
    let field = (gamma * share / (1.0 - share)).hypot(z);
    -(dim as f64).sqrt() * z / (field + gamma)
}

/// PFGM's `v_z` at height `z` from the squared norm of `v_x` (docs/equations.md, section 3): with `n = |v_x| / sqrt(N)`,
/// `|E| = (n^2 gamma + sqrt(n^2 gamma^2 + (1 - n^2) z^2)) / (1 - n^2)` and `v_z = -sqrt(N) z / (|E| + gamma)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RadialComponent {
    /// `v_z`
    pub(super) value: f64,
    /// Derivative with respect to the squared norm of `v_x`.
    pub(super) slope: f64,
}

impl RadialComponent {
    pub(super) fn new(squares: f64, dim: usize, z: f64, gamma: f64) -> Self {
        /// Largest `n^2`: the formula diverges at 1, which no field reaches.
        const MAX_SHARE: f64 = 1.0 - 1e-9;
        let n = dim as f64;
        let share = (squares / n).min(MAX_SHARE);
        let rest = 1.0 - share;
        let root = (share * gamma * gamma + rest * z * z).sqrt();
        let field = (share * gamma + root) / rest;
        let of_share = (gamma + (gamma * gamma - z * z) / (2.0 * root) + field) / rest;
        let factor = n.sqrt() * z / (field + gamma);
        Self { value: -factor, slope: factor / (field + gamma) * of_share / n }
    }
}

/// A length, or a column of lengths: the arithmetic that [`field_factor`] needs.
pub(super) trait Length: Sized {
    /// The length plus a constant.
    fn plus(self, constant: f64) -> Self;
    /// `numerator` divided by the length.
    fn divide(numerator: f64, length: Self) -> Self;
}

impl Length for f64 {
    fn plus(self, constant: f64) -> Self {
        self + constant
    }

    fn divide(numerator: f64, length: Self) -> Self {
        numerator / length
    }
}

impl Length for Tensor<2> {
    fn plus(self, constant: f64) -> Self {
        self.add_scalar(constant)
    }

    fn divide(numerator: f64, length: Self) -> Self {
        length.recip().mul_scalar(numerator)
    }
}

/// `-sqrt(N) / (|E| + gamma)`: the factor from `E` to the normalized field.
pub(super) fn field_factor<L: Length>(length: L, dim: usize, gamma: f64) -> L {
    L::divide(-(dim as f64).sqrt(), length.plus(gamma))
}

/// Normalized field of `E = (x - yhat, z)`, the component along z at the end.
pub(super) fn normalized_field(x: &[f32], yhat: &[f32], z: f64, gamma: f64) -> impl Iterator<Item = f64> + use<> {
    let field: Vec<f64> = x.iter().zip(yhat).map(|(x, y)| f64::from(x - y)).chain([z]).collect();
    let length = field.iter().map(|value| value * value).sum::<f64>().sqrt();
    let factor = field_factor(length, x.len(), gamma);
    field.into_iter().map(move |value| factor * value)
}

/// Normalized field of many rows: components along the data `[rows, N]`, and along z `[rows, 1]`.
pub(super) fn normalized_fields(along: Tensor<2>, z: Tensor<2>, gamma: f64) -> (Tensor<2>, Tensor<2>) {
    let dim = along.dims()[1];
    let length = (along.clone().square().sum_dim(1) + z.clone().square()).sqrt();
    let factor = field_factor(length, dim, gamma);
    (along * factor.clone(), z * factor)
}
