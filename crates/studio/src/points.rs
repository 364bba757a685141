//! Points in the plane for the playground: the data sets that a formula makes.

use axum::Json;
use pfgm_data::{BUILT_IN, OpenOptions, Shape};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits::{Params, Refusal};

/// Points of one set at the most.
const MOST_POINTS: usize = 2000;

/// Which points.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointsQuery {
    name: String,
    count: Option<u32>,
}

/// A set of points, scaled so that they fill the square from -1 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Points {
    /// Its name.
    pub name: String,
    /// The points.
    pub points: Vec<[f64; 2]>,
}

/// Some points of a built-in data set.
#[utoipa::path(get, path = "/api/v1/points",
    params(("name" = String, Query, description = "heart, spiral, ..."), ("count" = Option<u32>, Query, description = "1 to 2000")),
    responses((status = 200, body = Points), (status = 404, body = Refusal), (status = 422, body = Refusal)))]
pub async fn points(Params(query): Params<PointsQuery>) -> Result<Json<Points>, Refusal> {
    let (name, count) = (query.name, query.count.unwrap_or(200) as usize);
    if !(1..=MOST_POINTS).contains(&count) {
        return Err(Refusal::unprocessable(format!("count {count}: give 1 to {MOST_POINTS}")));
    }
    let unknown = || Refusal::not_found(format!("name `{name}`: no set of points in the plane is called so"));
    // Names only, never paths.
    if !BUILT_IN.contains(&name.as_str()) {
        return Err(unknown());
    }
    let data =
        pfgm_data::open(&name, &OpenOptions::default()).map_err(|error| Refusal::not_found(error.to_string()))?;
    if !matches!(data.shape, Shape::Vector { len: 2 }) {
        return Err(unknown());
    }
    let values = data.some(count).map_err(|error| Refusal::not_found(error.to_string()))?;
    let mut points: Vec<[f64; 2]> = values.as_chunks().0.iter().map(|&[x, y]| [f64::from(x), f64::from(y)]).collect();
    let bound = |axis: usize, start: f64, pick: fn(f64, f64) -> f64| points.iter().map(|p| p[axis]).fold(start, pick);
    let low = [0, 1].map(|axis| bound(axis, f64::INFINITY, f64::min));
    let high = [0, 1].map(|axis| bound(axis, f64::NEG_INFINITY, f64::max));
    let half = 0.5 * (high[0] - low[0]).max(high[1] - low[1]).max(f64::MIN_POSITIVE);
    for point in &mut points {
        *point = [0, 1].map(|axis| (point[axis] - 0.5 * (low[axis] + high[axis])) / half);
    }
    Ok(Json(Points { name, points }))
}
