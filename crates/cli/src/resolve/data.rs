//! Data sets.

use anyhow::Result;
use pfgm_data::{Dataset, OpenOptions};

use crate::args::DataArgs;

/// Opens a data set.
pub fn dataset(source: &str, table: &DataArgs) -> Result<Dataset> {
    let (columns, label) = (table.columns.clone().unwrap_or_default(), table.label.clone());
    let options = OpenOptions { columns, label, ..OpenOptions::default() };
    Ok(pfgm_data::open(source, &options)?)
}
