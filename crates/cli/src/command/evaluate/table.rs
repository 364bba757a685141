//! Scores of tables with kinds of columns.

use anyhow::Result;
use pfgm::model::Samples;
use pfgm_data::{ColumnKind, Dataset, TableSchema};
use pfgm_eval::{ScoredColumn, TableScores};
use serde_json::{Value, json};

use crate::render::line;

/// Rows that are drawn for the scores of a table, at most.
pub const MOST_DRAWN: usize = 5000;
/// Columns that are named.
const SHOWN: usize = 8;

/// The columns of a data set.
pub fn columns(schema: &TableSchema, dataset: &Dataset) -> Result<Vec<ScoredColumn>> {
    let dim = dataset.shape.dim();
    let mut values = vec![0.0; dataset.len() * dim];
    for (index, row) in values.chunks_exact_mut(dim).enumerate() {
        dataset.read_wide(index, row)?;
    }
    let classes = dataset.labels.as_ref().map(|labels| {
        let of_row = labels.of_row.iter().map(|&class| f64::from(class)).collect();
        (of_row, labels.names.len())
    });
    Ok(scored(schema, &values, classes))
}

/// The columns of samples.
pub fn columns_of_samples(schema: &TableSchema, samples: &Samples) -> Vec<ScoredColumn> {
    let count = samples.data().classes.len();
    let of_row: Vec<f64> = samples.classes.iter().map(|class| class.map_or(f64::NAN, f64::from)).collect();
    scored(schema, &samples.values_f64(), (count > 0).then_some((of_row, count)))
}

fn scored(schema: &TableSchema, values: &[f64], mut classes: Option<(Vec<f64>, usize)>) -> Vec<ScoredColumn> {
    let mut scored = Vec::new();
    for (column, place) in schema.columns.iter().zip(schema.places()) {
        let levels = match &column.kind {
            ColumnKind::Label => {
                let classes = classes.take();
                scored.extend(classes.map(|(values, levels)| ScoredColumn {
                    name: column.name.clone(),
                    values,
                    levels: Some(levels),
                }));
                continue;
            }
            ColumnKind::Constant { .. } if column.missing.is_none() => continue,
            ColumnKind::Constant { .. } => Some(1),
            ColumnKind::Category { levels } => Some(levels.len()),
            _ => None,
        };
        let cells = values.chunks_exact(schema.dim()).map(|row| &row[place.clone()]);
        let value = |cell: &[f64]| if column.is_missing(cell) { f64::NAN } else { column.decode_value(cell) };
        scored.push(ScoredColumn { name: column.name.clone(), values: cells.map(value).collect(), levels });
    }
    scored
}

/// Prints the scores.
pub fn print(scores: &TableScores) {
    line(format!("table       {} columns, {} rows of each set are compared", scores.marginals.len(), scores.rows));
    let mut order: Vec<usize> = (0..scores.marginals.len()).collect();
    order.sort_by(|&a, &b| scores.marginals[b].distance.total_cmp(&scores.marginals[a].distance));
    line(format!(
        "columns     {:.4}      mean distance of KS (numbers) and total variation (categories)",
        scores.mean_distance()
    ));
    for marginal in order.iter().take(SHOWN).map(|&at| &scores.marginals[at]) {
        let kind = if marginal.is_category { "TV" } else { "KS" };
        let mut text = format!("  {}: {kind} {:.4}", marginal.name, marginal.distance);
        if marginal.missing != [0.0, 0.0] {
            text += &format!(", missing {:.3} for {:.3}", marginal.missing[0], marginal.missing[1]);
        }
        if let Some([_, [own, reference]]) = marginal.quantiles {
            text += &format!(", 99.9 % quantile {own:.4} for {reference:.4}");
        }
        if let Some([own, reference]) = marginal.hill {
            text += &format!(", tail index {own:.2} for {reference:.2}");
        }
        line(text);
    }
    if let Some(mean) = scores.association {
        line(format!("pairs       {mean:.4}      mean difference of correlations and associations"));
    }
    if let Some(([a, b], [own, reference])) = &scores.worst_pair {
        line(format!("  {a}, {b}: {own:.3} for {reference:.3}"));
    }
    let [low, high] = scores.classifier_interval;
    line(format!(
        "classifier  {:.4}      {low:.4} .. {high:.4}  area under ROC of a random forest; 0.5 cannot tell rows apart",
        scores.classifier_area
    ));
    let ([own, reference], [copies, repeated]) = (scores.closest, scores.copies);
    line(format!(
        "closest     {own:.4}      {reference:.4} within the reference: median distance to the nearest row; {:.1} % copies, {:.1} % within the reference",
        100.0 * copies,
        100.0 * repeated
    ));
}

/// The scores as JSON.
pub fn as_json(scores: &TableScores) -> Value {
    let marginal = |marginal: &pfgm_eval::Marginal| {
        json!({
            "name": marginal.name,
            "distance": marginal.distance,
            "statistic": if marginal.is_category { "total-variation" } else { "kolmogorov-smirnov" },
            "missing": marginal.missing,
            "quantiles_99_and_99.9": marginal.quantiles,
            "hill_index": marginal.hill,
        })
    };
    json!({
        "rows": scores.rows,
        "columns": scores.marginals.iter().map(marginal).collect::<Vec<_>>(),
        "mean_distance": scores.mean_distance(),
        "mean_association_difference": scores.association,
        "worst_pair": scores.worst_pair.as_ref().map(|(names, values)| json!({ "columns": names, "associations": values })),
        "classifier_area": { "value": scores.classifier_area, "interval": scores.classifier_interval },
        "median_distance_to_closest": scores.closest,
        "share_of_copies": scores.copies,
    })
}
