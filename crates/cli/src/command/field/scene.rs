//! The charges of a picture, and their sizes.

use anyhow::{Result, bail};
use pfgm::{
    extra_dims::ExtraDims,
    field::ExactField,
    field_lines::{self, Line},
    flow::Flow,
    solver::Tolerance,
};
use pfgm_data::{Dataset, Shape};

/// Tolerance below a pixel of a picture.
pub const TOLERANCE: Tolerance = Tolerance { rtol: 1e-5, atol: 1e-5 };

/// Charges, their field, and their sizes.
pub struct Scene {
    pub name: String,
    pub columns: Vec<String>,
    pub dim: usize,
    pub charges: Vec<f64>,
    pub extra_dims: ExtraDims,
    pub field: ExactField,
    pub seed: u64,
    /// Pixels for each unit of length.
    pub scale: f64,
    /// The center of charge.
    pub center: Vec<f64>,
    /// The root mean square distance of the charges from the center.
    pub spread: f64,
    /// The distance from the center within which 98 % of the charges lie.
    pub near: f64,
    /// The largest distance from the center.
    pub reach: f64,
}

impl Scene {
    /// Creates a scene of at most `most` charges, evenly selected from a data set.
    pub fn new(dataset: &Dataset, most: usize, extra_dims: ExtraDims, (seed, scale): (u64, f64)) -> Result<Self> {
        let name = dataset.name.clone();
        let dim = match dataset.shape {
            Shape::Vector { len } if len <= 3 => len,
            shape => bail!(
                "{name}: its rows are {shape}; a field is drawn for points of one to three dimensions, so choose columns \
                 with --columns"
            ),
        };
        let count = dataset.len().min(most);
        let charges: Vec<f64> = dataset.some_wide(most)?;
        let center: Vec<f64> =
            (0..dim).map(|axis| charges.iter().skip(axis).step_by(dim).sum::<f64>() / count as f64).collect();
        let mut distances: Vec<f64> = charges
            .chunks_exact(dim)
            .map(|y| y.iter().zip(&center).map(|(y, c)| (y - c) * (y - c)).sum::<f64>().sqrt())
            .collect();
        distances.sort_by(f64::total_cmp);
        let spread = (distances.iter().map(|d| d * d).sum::<f64>() / count as f64).sqrt();
        if !(spread > 0.0 && spread.is_finite()) {
            bail!("{name}: {count} charges, all at one point: a picture needs at least two different points");
        }
        let (near, reach) = (distances[(count * 98 / 100).min(count - 1)], distances[count - 1]);
        let columns = match dataset.columns.len() {
            len if len == dim => dataset.columns.clone(),
            _ => (1..=dim).map(|number| format!("column {number}")).collect(),
        };
        let field = ExactField::new(charges.clone(), dim, extra_dims);
        Ok(Self { name, columns, dim, charges, extra_dims, field, seed, scale, center, spread, near, reach })
    }

    /// The number of charges.
    pub fn count(&self) -> usize {
        self.charges.len() / self.dim
    }

    /// The flow of the exact field.
    pub fn flow(&self) -> Flow<'_> {
        Flow { denoiser: &self.field, extra_dims: self.extra_dims }
    }

    /// The lowest noise level: particles are still near their charges.
    pub fn low(&self) -> f64 {
        1e-3 * self.spread
    }

    /// The highest noise level, where the field is that of one point charge.
    pub fn far(&self) -> f64 {
        1e3 * self.reach
    }

    /// The radius of the hemisphere that is drawn.
    pub fn dome(&self) -> f64 {
        2.5 * self.near
    }

    /// The same charges with another D.
    pub fn with(&self, extra_dims: ExtraDims) -> Self {
        let field = ExactField::new(self.charges.clone(), self.dim, extra_dims);
        let (name, columns, charges) = (self.name.clone(), self.columns.clone(), self.charges.clone());
        Self { name, columns, charges, extra_dims, field, center: self.center.clone(), ..*self }
    }

    /// Moves particles from the charges to the highest level. Returns their ends and their lines.
    pub fn rise(&self, particles: usize) -> Result<(Vec<f64>, Vec<Line>)> {
        let (low, far) = (self.low(), self.far());
        let mut x = field_lines::on_charges(self.extra_dims, &self.charges, self.dim, (particles, low), self.seed);
        let risen = field_lines::trace(&self.flow(), (low, far), self.scaled(TOLERANCE), &mut x)?;
        Ok((x, risen))
    }

    /// A tolerance in units of the charges' spread.
    pub fn scaled(&self, tolerance: Tolerance) -> Tolerance {
        Tolerance { atol: tolerance.atol * self.spread, ..tolerance }
    }

    /// The center of the hemisphere: the center of charge at height 0.
    pub fn foot(&self) -> Vec<f64> {
        let mut foot = self.center.clone();
        foot.push(0.0);
        foot
    }

    /// A point of a line as a point of a picture of space. For data of one or two dimensions the height is the third coordinate;
    /// for three it is not shown.
    pub fn in_space(&self, point: &[f64]) -> [f64; 3] {
        match self.dim {
            1 => [point[0], 0.0, point[1]],
            2 => [point[0], point[1], point[2]],
            _ => [point[0], point[1], point[2]],
        }
    }

    /// The charges as points of a picture of space.
    pub fn charges_in_space(&self) -> impl Iterator<Item = [f64; 3]> {
        self.charges.chunks_exact(self.dim).map(|y| {
            let mut point = y.to_vec();
            point.push(0.0);
            self.in_space(&point)
        })
    }

    /// The symbol of the height.
    pub fn height_name(&self) -> &'static str {
        match self.extra_dims {
            ExtraDims::Finite(1.0) => "z",
            ExtraDims::Finite(_) => "r",
            ExtraDims::Infinite => "σ",
        }
    }
}
