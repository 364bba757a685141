//! Data sets.

use std::sync::Arc;

use anyhow::Result;
use pfgm::spec::ModelSpec;
use pfgm_data::{DataError, Dataset, Kinds, OpenOptions};
use toml::Value;

use crate::args::DataArgs;

/// Opens a data set.
pub fn dataset(source: &str, args: &DataArgs) -> Result<Dataset> {
    Ok(pfgm_data::open(source, &with_flags(OpenOptions::default(), args))?)
}

/// Opens a data set as a run knows it: the cells of a table by the encodings that the run stores.
pub fn dataset_of(spec: &ModelSpec, source: &str, args: &DataArgs) -> Result<Dataset> {
    Ok(pfgm_data::open(source, &with_flags(known(OpenOptions::default(), spec), args))?)
}

/// Returns the options with the encodings that a run stores.
pub fn known(options: OpenOptions, spec: &ModelSpec) -> OpenOptions {
    OpenOptions { schema: spec.data.table.clone().map(Arc::new), ..options }
}

/// Opens a text table with kinds of columns, by rule if no flag names them; other data as they are.
pub fn kinded_dataset(source: &str, args: &DataArgs) -> Result<Dataset> {
    let options = OpenOptions { kinds: Some(Kinds::new()), ..OpenOptions::default() };
    Ok(pfgm_data::open(source, &with_flags(options, args))?)
}

/// Returns the options with the changes of the flags.
pub fn with_flags(options: OpenOptions, args: &DataArgs) -> OpenOptions {
    let limits = args.limits().or(options.limits);
    let DataArgs { columns, label, kinds, array, labels, range, alpha, header, decimal, classes, items, limits: _ } =
        args.clone();
    let kinds = match kinds.is_empty() {
        true => options.kinds,
        false => Some(options.kinds.unwrap_or_default().into_iter().chain(kinds).collect()),
    };
    OpenOptions {
        limits,
        kinds,
        columns: columns.unwrap_or(options.columns),
        label: label.or(options.label),
        array: array.or(options.array),
        labels: labels.or(options.labels),
        range: range.or(options.range),
        alpha: alpha.unwrap_or(options.alpha),
        header: header.unwrap_or(options.header),
        decimal: decimal.unwrap_or(options.decimal),
        classes: classes.unwrap_or(options.classes),
        items: items.unwrap_or(options.items),
        ..options
    }
}

/// The keys of a configuration that flags set, with their values.
pub fn data_keys(args: &DataArgs) -> Result<Vec<(&'static str, Value)>> {
    let DataArgs { columns, label, kinds: _, array, labels, range, alpha, header, decimal, classes, items, limits } =
        args;
    let mut keys = Vec::new();
    let mut set = |key: &'static str, value: Option<Value>| keys.extend(value.map(|value| (key, value)));
    set("data.label", label.as_deref().map(Value::from));
    set("data.columns", columns.clone().map(Value::from));
    set("data.array", array.as_deref().map(Value::from));
    set("data.labels", labels.as_deref().map(Value::from));
    set("data.range", range.map(Value::try_from).transpose()?);
    set("data.alpha", alpha.map(Value::try_from).transpose()?);
    set("data.header", header.map(Value::try_from).transpose()?);
    set("data.decimal", decimal.map(Value::try_from).transpose()?);
    set("data.classes", classes.as_ref().map(Value::try_from).transpose()?);
    set("data.items", items.map(Value::try_from).transpose()?);
    let limits = (!limits.is_empty()).then(|| Value::try_from(args.limits()));
    set("data.limits", limits.transpose()?);
    Ok(keys)
}

/// Returns an error of reading data with options replaced by their flags.
pub fn data_error_in_flags(error: &DataError) -> String {
    match error.remedy() {
        Some((message, "limits", value)) => format!("{message}; give --limit {value}"),
        Some((message, option, choices)) => format!("{message}; give --{option} {choices}"),
        None => error.to_string(),
    }
}
