//! Names of the limits.

/// One of the [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of Limits say it")]
pub enum Limit {
    Expanded,
    Image,
    Rows,
    Columns,
    Entries,
    Depth,
}

impl Limit {
    pub(crate) const ALL: [Self; 6] =
        [Self::Expanded, Self::Image, Self::Rows, Self::Columns, Self::Entries, Self::Depth];

    /// Returns the name of the limit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expanded => "expanded",
            Self::Image => "image",
            Self::Rows => "rows",
            Self::Columns => "columns",
            Self::Entries => "entries",
            Self::Depth => "depth",
        }
    }

    /// Returns whether it is a number of bytes.
    pub(crate) fn is_of_bytes(self) -> bool {
        matches!(self, Self::Expanded | Self::Image | Self::Rows)
    }
}
