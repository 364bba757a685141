//! Data sets in the plane, for the field playground.

use axum::Json;
use pfgm_data::{BUILT_IN, OpenOptions, Shape};
use serde::{Deserialize, Serialize};

use crate::{api::Answer, error::ApiError, extract::QueryParams};

/// Largest number of points of a set.
const MAX_POINTS: usize = 2000;

/// Query of `GET /api/v1/points`.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
pub struct PointsQuery {
    /// Name of a built-in data set in the plane, as `heart` or `spiral`.
    name: String,
    /// Number of points, 1 to 2000. Default: 200.
    count: Option<u32>,
}

/// Points in the plane, centered and scaled to fill [-1, 1].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Points {
    /// Name of the data set.
    pub name: String,
    /// Coordinates.
    pub points: Vec<[f64; 2]>,
}

/// Returns points of a built-in data set in the plane.
#[cfg_attr(test, utoipa::path(get, path = "/api/v1/points", params(PointsQuery),
    responses((status = 200, body = Points), crate::openapi::RunErrors)))]
pub async fn points(QueryParams(query): QueryParams<PointsQuery>) -> Answer<Points> {
    let (name, count) = (query.name, query.count.unwrap_or(200) as usize);
    if !(1..=MAX_POINTS).contains(&count) {
        return Err(ApiError::unprocessable(format!("count {count}: give 1 to {MAX_POINTS}")));
    }
    let unknown = || ApiError::not_found(format!("name `{name}`: there is no such data set in the plane"));
    // Only names of built-in data sets are opened, never paths.
    if !BUILT_IN.contains(&name.as_str()) {
        return Err(unknown());
    }
    let data =
        pfgm_data::open(&name, &OpenOptions::default()).map_err(|error| ApiError::not_found(error.to_string()))?;
    if !matches!(data.shape, Shape::Vector { len: 2 }) {
        return Err(unknown());
    }
    let values = data.some(count).map_err(|error| ApiError::not_found(error.to_string()))?;
    let mut points: Vec<[f64; 2]> = values.as_chunks().0.iter().map(|&[x, y]| [f64::from(x), f64::from(y)]).collect();
    normalize(&mut points);
    Ok(Json(Points { name, points }))
}

/// Centers points and scales the larger side of their bounding box to 2.
fn normalize(points: &mut [[f64; 2]]) {
    let bound = |axis: usize, start: f64, pick: fn(f64, f64) -> f64| points.iter().map(|p| p[axis]).fold(start, pick);
    let low = [0, 1].map(|axis| bound(axis, f64::INFINITY, f64::min));
    let high = [0, 1].map(|axis| bound(axis, f64::NEG_INFINITY, f64::max));
    let half = 0.5 * (high[0] - low[0]).max(high[1] - low[1]).max(f64::MIN_POSITIVE);
    for point in points {
        *point = [0, 1].map(|axis| (point[axis] - 0.5 * (low[axis] + high[axis])) / half);
    }
}
