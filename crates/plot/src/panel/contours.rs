//! Lines of equal values of a grid, by marching squares.

/// Values on a grid of points.
pub struct Grid<'a> {
    /// Points in a row.
    pub across: usize,
    /// The points.
    pub middles: &'a [[f64; 2]],
    /// The value at each.
    pub values: &'a [f64],
}

impl Grid<'_> {
    /// The parts of the line along which the values are `level`, one or two for each square that it crosses.
    pub fn segments(&self, level: f64) -> Vec<[[f64; 2]; 2]> {
        let rows = self.values.len() / self.across;
        let squares = (0..rows.saturating_sub(1))
            .flat_map(|row| (0..self.across.saturating_sub(1)).map(move |column| (row, column)));
        squares
            .flat_map(|(row, column)| {
                let first = row * self.across + column;
                let below = first + self.across;
                // The corners in turn; an edge joins a corner and the next.
                let corners = [first, first + 1, below + 1, below];
                let mut cuts = (0..4).filter_map(|edge| self.cut(corners[edge], corners[(edge + 1) % 4], level));
                let mut segments = Vec::new();
                while let (Some(a), Some(b)) = (cuts.next(), cuts.next()) {
                    segments.push([a, b]);
                }
                segments
            })
            .collect()
    }

    /// Where the level lies on the edge between two points.
    fn cut(&self, a: usize, b: usize, level: f64) -> Option<[f64; 2]> {
        let (from, to) = (self.values[a] - level, self.values[b] - level);
        ((from < 0.0) != (to < 0.0)).then(|| {
            let share = from / (from - to);
            [0, 1].map(|axis| self.middles[a][axis] + share * (self.middles[b][axis] - self.middles[a][axis]))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paraboloid_has_circles() {
        let across = 81;
        let middles: Vec<[f64; 2]> = (0..across * across)
            .map(|index| [(index % across) as f64 / 40.0 - 1.0, 1.0 - (index / across) as f64 / 40.0])
            .collect();
        let values: Vec<f64> = middles.iter().map(|[x, y]| x * x + y * y).collect();
        let segments = Grid { across, middles: &middles, values: &values }.segments(0.36);
        let length: f64 = segments.iter().map(|[a, b]| (a[0] - b[0]).hypot(a[1] - b[1])).sum();
        assert!((length / (2.0 * std::f64::consts::PI * 0.6) - 1.0).abs() < 1e-3, "{length}");
        assert!(segments.iter().flatten().all(|[x, y]| (x.hypot(*y) - 0.6).abs() < 1e-3));
    }
}
