//! Conjugate gradients, one product with the matrix at a time.

/// The squared norm, relative to that of the right-hand side, at which conjugate gradients stop.
const CONVERGED: f64 = 1e-20;

/// A linear system with a symmetric positive matrix.
pub(super) struct System {
    pub(super) solution: Vec<f64>,
    residual: Vec<f64>,
    pub(super) direction: Vec<f64>,
    square: f64,
    enough: f64,
    /// The smallest eigenvalue that the matrix can have.
    least: f64,
    is_done: bool,
}

impl System {
    /// A system whose matrix has no eigenvalue below `least`.
    pub(super) fn new(right: Vec<f64>, least: f64) -> Self {
        let square = inner(&right, &right);
        Self {
            solution: vec![0.0; right.len()],
            direction: right.clone(),
            residual: right,
            square,
            enough: CONVERGED * square,
            least,
            is_done: square == 0.0,
        }
    }

    /// Whether further steps change nothing.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// A step, given the matrix times the direction. Returns how far the solution moved along the direction.
    ///
    /// A network's Jacobian need not be positive. Where it is not, its part of the curvature counts with the opposite sign, as in saddle-free
    /// Newton methods: a step would be far too long otherwise, and none at all would make the flow jump.
    pub(super) fn step(&mut self, image: &[f64]) -> f64 {
        let (curvature, norm) = (inner(&self.direction, image), inner(&self.direction, &self.direction));
        let bound = self.least * norm;
        let positive = bound + (curvature - bound).abs();
        if self.is_done || positive <= 0.0 {
            self.is_done = true;
            return 0.0;
        }
        let (length, more) = (self.square / positive, (positive - curvature) / norm);
        self.solution.iter_mut().zip(&self.direction).for_each(|(x, d)| *x += length * d);
        let changes = image.iter().zip(&self.direction).map(|(image, d)| image + more * d);
        self.residual.iter_mut().zip(changes).for_each(|(r, change)| *r -= length * change);
        let square = inner(&self.residual, &self.residual);
        let share = square / self.square;
        self.direction.iter_mut().zip(&self.residual).for_each(|(d, r)| *d = r + share * *d);
        self.square = square;
        self.is_done = square <= self.enough;
        length
    }
}

/// The inner product.
pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_in_as_many_steps_as_it_has_unknowns() {
        let matrix = [[4.0, 1.0, 0.5], [1.0, 3.0, -0.2], [0.5, -0.2, 2.0]];
        let right = vec![1.0, -2.0, 0.7];
        let mut system = System::new(right.clone(), 0.5);
        for _ in 0..3 {
            let image = matrix.map(|row| inner(&row, &system.direction));
            system.step(&image);
        }
        let found = matrix.map(|row| inner(&row, &system.solution));
        assert!(found.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert!(system.is_done());
    }

    #[test]
    fn a_negative_part_of_the_curvature_counts_with_the_opposite_sign() {
        let length = |eigenvalue: f64| System::new(vec![1.0, 1.0], 0.5).step(&[eigenvalue; 2]);
        assert!((length(0.8) - 1.0 / 0.8).abs() < 1e-12);
        // 0.5 - 0.3 as 0.5 + 0.3; and without a jump between.
        assert!((length(0.2) - 1.0 / 0.8).abs() < 1e-12);
        assert!((length(0.5 - 1e-9) - length(0.5 + 1e-9)).abs() < 1e-7);
        let mut system = System::new(vec![1.0, 1.0], 0.5);
        system.step(&[0.2; 2]);
        assert!(system.is_done(), "the residual is that of the corrected matrix");
    }

    #[test]
    fn nothing_is_done_for_a_right_hand_side_of_zero() {
        assert!(System::new(vec![0.0; 2], 0.0).is_done());
    }
}
