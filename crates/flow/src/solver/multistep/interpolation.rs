//! Integrals of interpolating polynomials.

/// Weights `w` with `sum_j w[j] p(nodes[j]) = integral of p` for every polynomial of a degree below the number of nodes, where
/// `moment(k)` is the integral of `s^k`.
///
/// Equal nodes give weights that are not finite.
pub(super) fn weights(nodes: &[f64], moment: impl Fn(usize) -> f64) -> Vec<f64> {
    let moments: Vec<f64> = (0..nodes.len()).map(moment).collect();
    let weight = |j: usize| {
        // Coefficients of Lagrange's polynomial of node j, from the lowest power.
        let mut polynomial = vec![1.0];
        for (_, node) in nodes.iter().enumerate().filter(|(i, _)| *i != j) {
            let mut product = vec![0.0; polynomial.len() + 1];
            for (k, coefficient) in polynomial.iter().enumerate() {
                product[k + 1] += coefficient / (nodes[j] - node);
                product[k] -= coefficient * node / (nodes[j] - node);
            }
            polynomial = product;
        }
        polynomial.iter().zip(&moments).map(|(coefficient, moment)| coefficient * moment).sum()
    };
    (0..nodes.len()).map(weight).collect()
}

/// `h * integral over s in [0, 1] of e^(-h (1 - s)) s^k`: the contribution of a term `s^k` of yhat to a step of length h in lambda.
pub(super) fn exponential_moment(h: f64, k: usize) -> f64 {
    if h.abs() < 1.0 {
        // h sum_j (-h)^j k! / (j + k + 1)!, since the recursion below cancels if h is small.
        let mut term = h / (k + 1) as f64;
        let mut sum = 0.0;
        for j in 0..24 {
            sum += term;
            term *= -h / (j + k + 2) as f64;
        }
        return sum;
    }
    // By parts: m_k = 1 - (k/h) m_(k-1), m_0 = 1 - e^(-h).
    (1..=k).fold(-(-h).exp_m1(), |below, k| 1.0 - k as f64 / h * below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_integrate_polynomials() {
        // Adams and Bashforth of order 4, and Simpson.
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{found:?}");
        };
        let plain = |k: usize| 1.0 / (k + 1) as f64;
        close(weights(&[0.0, -1.0, -2.0, -3.0], plain), &[55.0, -59.0, 37.0, -9.0].map(|w| w / 24.0));
        close(weights(&[0.0, 0.5, 1.0], plain), &[1.0, 4.0, 1.0].map(|w| w / 6.0));
    }

    #[test]
    fn moments_are_integrals() {
        for h in [-3.0, -0.7, -1e-3, 1e-3, 0.3, 0.999, 1.001, 4.0] {
            for k in 0..4 {
                // Simpson's rule on 2000 intervals.
                let integrand = |s: f64| h * (-h * (1.0 - s)).exp() * s.powi(k);
                let n = 2000;
                let sum: f64 = (0..=n)
                    .map(|i| {
                        let weight = if i == 0 || i == n { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
                        weight * integrand(f64::from(i) / f64::from(n))
                    })
                    .sum();
                let simpson = sum / f64::from(3 * n);
                let moment = exponential_moment(h, k as usize);
                assert!((moment / simpson - 1.0).abs() < 1e-9, "h = {h}, k = {k}: {moment} against {simpson}");
            }
        }
    }
}
