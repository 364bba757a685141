//! A random forest of two classes (Breiman 2001), for tests of whether two samples can be told apart.

use pfgm_flow::random::{Purpose, Stream, stream};
use rand::{RngExt, seq::SliceRandom};
use rayon::prelude::*;

/// Trees of a forest.
const TREES: u64 = 100;
/// Rows of a leaf, at least.
const LEAF: usize = 3;
/// Depth of a tree, at most.
const DEPTH: usize = 16;
/// Folds of cross-validation.
const FOLDS: usize = 5;

/// Scores of rows of two classes by forests that have not seen them, in five folds. Higher scores speak for the second class.
///
/// # Shapes
/// `rows`: `[n, dim]`; `classes` and the result: `[n]`
///
/// # Panics
/// Panics if there is not one class for each row.
pub fn cross_validated_scores(rows: &[f64], classes: &[bool], dim: usize, seed: u64) -> Vec<f64> {
    assert_eq!(rows.len(), classes.len() * dim, "cross_validated_scores: one class for each row");
    let mut order: Vec<usize> = (0..classes.len()).collect();
    order.shuffle(&mut stream(seed, Purpose::Evaluation, 0, 0));
    // Each class is spread over all folds.
    order.sort_by_key(|&row| classes[row]);
    let mut fold = vec![0; classes.len()];
    order.iter().enumerate().for_each(|(place, &row)| fold[row] = place % FOLDS);
    let mut scores = vec![0.0; classes.len()];
    for held_out in 0..FOLDS {
        let train: Vec<usize> = (0..classes.len()).filter(|&row| fold[row] != held_out).collect();
        let forest = Forest::fit(&Data { rows, classes, dim }, &train, seed.wrapping_add(1 + held_out as u64));
        for row in (0..classes.len()).filter(|&row| fold[row] == held_out) {
            scores[row] = forest.score(&rows[row * dim..(row + 1) * dim]);
        }
    }
    scores
}

struct Data<'a> {
    rows: &'a [f64],
    classes: &'a [bool],
    dim: usize,
}

enum Node {
    /// Share of the second class.
    Leaf(f64),
    /// Rows with a value of at most `at` go to the node `low`, others to `high`.
    Split { feature: usize, at: f64, low: usize, high: usize },
}

struct Forest {
    trees: Vec<Vec<Node>>,
}

impl Forest {
    fn fit(data: &Data, train: &[usize], seed: u64) -> Self {
        let tree = |number: u64| {
            let mut rng = stream(seed, Purpose::Evaluation, 1, number);
            let drawn: Vec<usize> = (0..train.len()).map(|_| train[rng.random_range(0..train.len())]).collect();
            let mut nodes = Vec::new();
            grow(data, drawn, 0, &mut rng, &mut nodes);
            nodes
        };
        Self { trees: (0..TREES).into_par_iter().map(tree).collect() }
    }

    fn score(&self, row: &[f64]) -> f64 {
        let of_tree = |nodes: &Vec<Node>| {
            let mut at = 0;
            loop {
                match &nodes[at] {
                    Node::Leaf(share) => return *share,
                    Node::Split { feature, at: limit, low, high } => {
                        at = if row[*feature] <= *limit { *low } else { *high };
                    }
                }
            }
        };
        self.trees.iter().map(of_tree).sum::<f64>() / self.trees.len() as f64
    }
}

/// Adds the node of some rows and all below it; returns its place.
fn grow(data: &Data, rows: Vec<usize>, depth: usize, rng: &mut Stream, nodes: &mut Vec<Node>) -> usize {
    let place = nodes.len();
    let second = rows.iter().filter(|&&row| data.classes[row]).count();
    nodes.push(Node::Leaf(second as f64 / rows.len().max(1) as f64));
    if depth == DEPTH || rows.len() < 2 * LEAF || second == 0 || second == rows.len() {
        return place;
    }
    let mut features: Vec<usize> = (0..data.dim).collect();
    features.shuffle(rng);
    let tried = (data.dim as f64).sqrt().ceil() as usize;
    // Constant features are not counted.
    let found = features.iter().filter_map(|&feature| best_split(data, &rows, feature)).take(tried);
    let Some((_, feature, at)) = found.min_by(|a, b| a.0.total_cmp(&b.0)) else { return place };
    let (below, above) = rows.into_iter().partition(|&row| data.rows[row * data.dim + feature] <= at);
    let low = grow(data, below, depth + 1, rng, nodes);
    let high = grow(data, above, depth + 1, rng, nodes);
    nodes[place] = Node::Split { feature, at, low, high };
    place
}

/// The impurity after the best split of a feature, the feature, and the limit.
fn best_split(data: &Data, rows: &[usize], feature: usize) -> Option<(f64, usize, f64)> {
    let mut values: Vec<(f64, bool)> =
        rows.iter().map(|&row| (data.rows[row * data.dim + feature], data.classes[row])).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total = values.iter().filter(|(_, class)| *class).count() as f64;
    let count = values.len() as f64;
    // n p (1 - p) of both sides.
    let impurity = |second: f64, all: f64| second * (all - second) / all;
    let (mut below, mut best) = (0.0, None);
    for at in 0..values.len() - 1 {
        below += f64::from(u8::from(values[at].1));
        let left = (at + 1) as f64;
        if values[at].0 == values[at + 1].0 || at + 1 < LEAF || values.len() - at - 1 < LEAF {
            continue;
        }
        let after = impurity(below, left) + impurity(total - below, count - left);
        if best.is_none_or(|(least, _)| after < least) {
            best = Some((after, f64::midpoint(values[at].0, values[at + 1].0)));
        }
    }
    best.map(|(after, at)| (after, feature, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::area_under_roc;

    fn area(rows: &[f64], classes: &[bool], dim: usize) -> f64 {
        let scores = cross_validated_scores(rows, classes, dim, 0);
        let of = |class: bool| -> Vec<f64> {
            scores.iter().zip(classes).filter(|(_, other)| **other == class).map(|(score, _)| *score).collect()
        };
        area_under_roc(&of(false), &of(true))
    }

    #[test]
    fn a_forest_sees_what_no_margin_shows_and_nothing_where_nothing_is() {
        let mut rng = stream(3, Purpose::Evaluation, 9, 9);
        let rows: Vec<f64> = (0..4 * 800).map(|_| rng.random::<f64>()).collect();
        // The second class is where both values are on the same side of the middle: each alone has the same distribution.
        let xor: Vec<bool> = rows.chunks_exact(4).map(|row| (row[1] > 0.5) == (row[3] > 0.5)).collect();
        let found = area(&rows, &xor, 4);
        assert!(found > 0.95, "{found}");
        let coin: Vec<bool> = (0..800).map(|_| rng.random::<bool>()).collect();
        let found = area(&rows, &coin, 4);
        // Three standard errors of the area of 400 and 400 rows.
        assert!((found - 0.5).abs() < 0.062, "{found}");
        assert_eq!(cross_validated_scores(&rows, &coin, 4, 7), cross_validated_scores(&rows, &coin, 4, 7));
        assert!((area(&[1.0; 60], &[[false, true]; 30].concat(), 1) - 0.5).abs() < 1e-12);
    }
}
