//! Solvers as Python names them: the flat table of their options, as JSON.

use pfgm_flow::solver::{Method, Solver, SolverOverrides};
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

/// The changes to a solver that the JSON table names.
pub fn overrides(json: &str) -> Result<SolverOverrides> {
    let mut table: Map<String, Value> = serde_json::from_str(json).map_err(|error| Failure::of("solver", error))?;
    if let Some(name) = table.get("method").and_then(Value::as_str) {
        name.parse::<Method>().map_err(|error| Failure::of("solver", error))?;
    }
    if let Some(steps) = table.remove("solver_steps") {
        table.insert("steps".into(), steps);
    }
    serde_json::from_value(Value::Object(table)).map_err(|error| {
        let known = error.to_string().replace("`method`", "`solver`").replace("`steps`", "`solver_steps`");
        Failure::of("solver", known)
    })
}

/// `base` with the changes of the JSON table; `None` if there are none.
pub fn changed(json: &str, base: &Solver) -> Result<Option<Solver>> {
    let overrides = overrides(json)?;
    if overrides == SolverOverrides::default() {
        return Ok(None);
    }
    Ok(Some(overrides.apply(base)?))
}

/// Names of the solvers, each with a line of help.
#[pyfunction]
pub fn solvers() -> Vec<(&'static str, &'static str)> {
    Method::ALL.iter().map(|method| (method.as_str(), method.help())).collect()
}
