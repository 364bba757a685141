//! Arrays and tables as files.

use std::{borrow::Cow, io::Cursor, path::Path};

use anyhow::{Context, Result};
use pfgm_data::npz::{Named, write_npz};

use super::{display, line, write};

/// Writes arrays as an npz archive, and prints its path after `name`.
pub fn arrays(name: &str, path: &Path, arrays: &[Named]) -> Result<()> {
    let mut file = Cursor::new(Vec::new());
    write_npz(&mut file, arrays).context("the arrays")?;
    write(path, file.get_ref())?;
    line(format!("{name:<10} {}", display(path)));
    Ok(())
}

/// Writes a CSV table, and prints its path. Without names of columns it has no header.
pub fn table(path: &Path, names: &[Cow<str>], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    if !names.is_empty() {
        table.write_record(names.iter().map(|name| name.as_bytes()))?;
    }
    for row in rows {
        table.write_record(row)?;
    }
    write(path, &table.into_inner().context("the table")?)?;
    line(format!("{:<10} {}", "table", display(path)));
    Ok(())
}
