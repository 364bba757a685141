//! The built-in data set: 1797 handwritten digits of 8x8 pixels with values 0 to 16.
//!
//! E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998,
//! <https://doi.org/10.24432/C50P49>, CC BY 4.0. `assets/README.md` describes how the embedded files were made.

use std::path::Path;

use crate::{Dataset, Limits, OpenOptions, idx, source::Source};

static IMAGES: &[u8] = include_bytes!("../assets/digits-images-idx3-ubyte.gz");
static LABELS: &[u8] = include_bytes!("../assets/digits-labels-idx1-ubyte.gz");

/// Loads the digits with their labels.
pub(crate) fn load() -> Dataset {
    let path = Path::new("digits");
    let inflate = |bytes: &[u8]| {
        let mut stream = flate2::read::GzDecoder::new(bytes);
        let bytes = Limits::of(0).read(path, "the embedded file", &mut stream).expect("the embedded digits are whole");
        Source::Bytes(bytes.into())
    };
    let labels = Some((path, inflate(LABELS)));
    let digits = idx::dataset(path, &inflate(IMAGES), labels, &OpenOptions::default());
    let digits = digits.and_then(|digits| digits.loaded()).and_then(|digits| digits.with_range(0.0, 16.0));
    digits.expect("the embedded digits are whole")
}

#[cfg(test)]
mod tests {
    #[test]
    fn are_the_published_ones() {
        let digits = super::load();
        assert_eq!(digits.len(), 1797);
        let mut first = [0.0; 64];
        digits.read(0, &mut first).unwrap();
        // The first line of the published file.
        assert_eq!(first[..16], [0., 0., 5., 13., 9., 1., 0., 0., 0., 0., 13., 15., 10., 15., 5., 0.]);
        // Class counts as scikit-learn's description of the set gives them.
        let mut counts = [0; 10];
        digits.labels.unwrap().of_row.iter().for_each(|&class| counts[class as usize] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }
}
