//! Operations on latents, the points of the flow at the highest noise level (docs/equations.md, section 9).

/// Interpolates between two latents at `t` from 0 (`a`) to 1 (`b`): spherically between their directions, linearly between their norms.
///
/// # Shapes
/// `a`, `b` and the result: `[N]`
pub fn interpolate(a: &[f64], b: &[f64], t: f64) -> Vec<f64> {
    let (norm_a, norm_b) = (norm(a), norm(b));
    let cosine = (a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (norm_a * norm_b)).clamp(-1.0, 1.0);
    let angle = cosine.acos();
    // The weights of the directions; nearly parallel ones are interpolated linearly.
    let (of_a, of_b) = if angle.sin() < 1e-9 {
        (1.0 - t, t)
    } else {
        (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
    };
    let size = (1.0 - t) * norm_a + t * norm_b;
    a.iter().zip(b).map(|(a, b)| size * (of_a * a / norm_a + of_b * b / norm_b)).collect()
}

/// The mean of latents; zeros if there are none.
///
/// # Shapes
/// `latents`: `[rows, dim]`, the result: `[dim]`
pub fn mean<'a>(latents: impl Iterator<Item = &'a [f64]>, dim: usize) -> Vec<f64> {
    let (mut sum, mut count) = (vec![0.0; dim], 0.0_f64);
    for latent in latents {
        sum.iter_mut().zip(latent).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count.max(1.0));
    sum
}

/// The Euclidean norm.
pub fn norm(x: &[f64]) -> f64 {
    x.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_turn_evenly_and_norms_grow_evenly() {
        let (a, b) = ([2.0, 0.0, 0.0], [0.0, 0.0, 4.0]);
        for step in 0..=8 {
            let t = f64::from(step) / 8.0;
            let between = interpolate(&a, &b, t);
            assert!((norm(&between) - 2.0 - 2.0 * t).abs() < 1e-12);
            let angle = between[2].atan2(between[0]);
            assert!((angle - t * std::f64::consts::FRAC_PI_2).abs() < 1e-12, "{between:?}");
        }
        assert_eq!(interpolate(&a, &[3.0, 0.0, 0.0], 0.5), [2.5, 0.0, 0.0]);
    }

    #[test]
    fn the_mean_is_the_mean() {
        let rows = [[1.0, 2.0], [3.0, -2.0]];
        assert_eq!(mean(rows.iter().map(|row| &row[..]), 2), [2.0, 0.0]);
    }
}
