//! `yhat` as operators of ONNX: the formulas of [`Prediction`] around those of a network, in double precision.

use super::{Output, Prediction, Quantity};
use crate::{
    network::onnx::{Attribute, Graph, Value},
    precondition::{NoiseEstimate, Precondition, VARIANCE_RATIO},
    process::Process,
};

/// Numbers of `TensorProto.DataType`.
const FLOAT: i64 = 1;
const DOUBLE: i64 = 11;

/// What a network gets, in single precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NetworkValues {
    /// Scaled points, of the shape of the points.
    pub(crate) x: Value,
    /// `c_noise`, `[batch, 1]`.
    pub(crate) noise: Value,
    /// `ln(s / sigma) / 4` with the estimated noise s, `[batch, 1]`.
    pub(crate) log_sigma_ratio: Value,
}

/// The coefficients of a batch, `[batch, 1]` in double precision. `None` is 1, and for `log_sigma_ratio` 0.
struct Coefficients {
    skip: Option<Value>,
    out: Out,
    input: Option<Value>,
    noise: Value,
    log_sigma_ratio: Option<Value>,
}

/// The factor of the network's output.
enum Out {
    Known(Value),
    /// It follows from the output, a field with this gamma.
    OfField(f64),
    One,
}

/// A graph to which operators in double precision are added.
struct Formula<'a>(&'a mut Graph);

impl Formula<'_> {
    fn cast(&mut self, x: Value, to: i64) -> Value {
        self.0.apply("Cast", &[x], &[("to", Attribute::Int(to))])
    }

    fn number(&mut self, value: f64) -> Value {
        self.0.doubles(vec![value])
    }

    fn times(&mut self, x: Value, factor: f64) -> Value {
        let factor = self.number(factor);
        self.0.mul(x, factor)
    }

    fn plus(&mut self, x: Value, number: f64) -> Value {
        let number = self.number(number);
        self.0.add(x, number)
    }

    fn square(&mut self, x: Value) -> Value {
        self.0.mul(x, x)
    }

    /// `numerator / x`
    fn over(&mut self, numerator: f64, x: Value) -> Value {
        let numerator = self.number(numerator);
        self.0.div(numerator, x)
    }

    fn root(&mut self, x: Value) -> Value {
        self.0.unary("Sqrt", x)
    }

    fn log(&mut self, x: Value) -> Value {
        self.0.unary("Log", x)
    }

    fn at_least(&mut self, x: Value, least: f64) -> Value {
        let least = self.number(least);
        self.0.apply("Max", &[x, least], &[])
    }

    fn at_most(&mut self, x: Value, most: f64) -> Value {
        let most = self.number(most);
        self.0.apply("Min", &[x, most], &[])
    }

    /// The mean square of each row, `[batch, 1]`.
    fn mean_square(&mut self, x: Value, is_image: bool) -> Value {
        let squares = self.square(x);
        let axes = self.0.integers(if is_image { &[1, 2, 3] } else { &[1] });
        let mean = self.0.apply("ReduceMean", &[squares, axes], &[]);
        self.reshape(mean, &[-1, 1])
    }

    fn reshape(&mut self, x: Value, sides: &[i64]) -> Value {
        let sides = self.0.integers(sides);
        self.0.apply("Reshape", &[x, sides], &[])
    }

    /// A coefficient that broadcasts over the values of a row.
    fn per_row(&mut self, x: Value, is_image: bool) -> Value {
        if is_image { self.reshape(x, &[-1, 1, 1, 1]) } else { x }
    }
}

impl Prediction {
    /// Adds `yhat` of a batch to a graph. `network` adds the network's forward pass, without the component of a field along r.
    ///
    /// # Shapes
    /// `x` and result: `[batch, channels, height, width]` if `is_image`, otherwise `[batch, N]`; `sigma`: `[batch]`
    pub(crate) fn graph(
        &self,
        graph: &mut Graph,
        [x, sigma]: [Value; 2],
        is_image: bool,
        network: impl FnOnce(&mut Graph, NetworkValues) -> Value,
    ) -> Value {
        let mut formula = Formula(graph);
        let level = formula.cast(sigma, DOUBLE);
        let level = formula.reshape(level, &[-1, 1]);
        let points = formula.cast(x, DOUBLE);
        let coefficients = self.graph_coefficients(&mut formula, [x, points, level], is_image);
        let scaled = match coefficients.input {
            Some(input) => {
                let input = formula.per_row(input, is_image);
                let scaled = formula.0.mul(points, input);
                formula.cast(scaled, FLOAT)
            }
            None => x,
        };
        let noise = formula.cast(coefficients.noise, FLOAT);
        let log_sigma_ratio = match coefficients.log_sigma_ratio {
            Some(ratio) => formula.cast(ratio, FLOAT),
            None => formula.0.floats(vec![0.0], &[1, 1]),
        };
        let raw = network(formula.0, NetworkValues { x: scaled, noise, log_sigma_ratio });
        let raw = formula.cast(raw, DOUBLE);
        let out = match coefficients.out {
            Out::Known(out) => Some(out),
            Out::OfField(gamma) => Some(formula.field_factor(raw, level, gamma, is_image)),
            Out::One => None,
        };
        let mut term = |value: Value, factor: Option<Value>| match factor {
            Some(factor) => {
                let factor = formula.per_row(factor, is_image);
                formula.0.mul(value, factor)
            }
            None => value,
        };
        let (skipped, given) = (term(points, coefficients.skip), term(raw, out));
        let yhat = formula.0.add(skipped, given);
        formula.cast(yhat, FLOAT)
    }

    /// As [`Prediction::coefficients`]. `x` is in single precision, `points` the same in double precision.
    fn graph_coefficients(
        &self,
        formula: &mut Formula,
        [x, points, sigma]: [Value; 3],
        is_image: bool,
    ) -> Coefficients {
        let (mut skip, mut input) = (None, None);
        let (out, level) = match &self.output {
            Output::Edm => return formula.edm(self.precondition, [x, points, sigma], is_image),
            Output::Field { gamma } => (Out::OfField(*gamma), sigma),
            Output::Ve { scaled, unit } => {
                let out = if *scaled { sigma } else { formula.square(sigma) };
                let out = if *scaled { out } else { formula.times(out, 1.0 / unit) };
                (Out::Known(out), formula.times(sigma, 1.0 / unit))
            }
            Output::Discrete { schedule, quantity } => {
                let shrink = formula.shrink(sigma);
                input = Some(shrink);
                let (skipped, out) = formula.quantity(*quantity, sigma, shrink);
                skip = skipped;
                (out, formula.step(&schedule.levels(), sigma))
            }
            Output::Vp { .. } | Output::SubVp { .. } => {
                let (mean, time) = formula.time(self.output.process(), sigma);
                input = Some(mean);
                (Out::Known(formula.times(sigma, -1.0)), formula.times(time, 999.0))
            }
        };
        let noise = if self.log_level { formula.log(level) } else { level };
        Coefficients { skip, out, input, noise, log_sigma_ratio: None }
    }
}

impl Formula<'_> {
    /// As [`Precondition::coefficients`].
    fn edm(&mut self, precondition: Precondition, [x, points, sigma]: [Value; 3], is_image: bool) -> Coefficients {
        let data = precondition.sigma_data * precondition.sigma_data;
        let square = self.square(sigma);
        let shown = precondition.noise_estimate.map(|estimate| {
            let variance = self.variance(estimate, [x, points], is_image);
            let known = self.times(square, VARIANCE_RATIO);
            let excess = self.0.sub(variance, known);
            let excess = self.at_least(excess, 0.0);
            self.0.add(square, excess)
        });
        let log_sigma_ratio = shown.map(|shown| {
            let ratio = self.0.div(shown, square);
            let ratio = self.log(ratio);
            self.times(ratio, 1.0 / 8.0)
        });
        let shown = shown.unwrap_or(square);
        let total = self.plus(shown, data);
        let root = self.root(total);
        let out = self.root(shown);
        let out = self.times(out, precondition.sigma_data);
        let noise = self.log(sigma);
        Coefficients {
            skip: Some(self.over(data, total)),
            out: Out::Known(self.0.div(out, root)),
            input: Some(self.over(1.0, root)),
            noise: self.times(noise, 0.25),
            log_sigma_ratio,
        }
    }

    /// As [`NoiseEstimate::variance`], `[batch, 1]`.
    fn variance(&mut self, estimate: NoiseEstimate, [x, points]: [Value; 2], is_image: bool) -> Value {
        match estimate {
            NoiseEstimate::Norm { max_row_rms } => {
                let mean = self.mean_square(points, is_image);
                self.plus(mean, -max_row_rms * max_row_rms)
            }
            NoiseEstimate::Details { detail_rms, .. } => {
                let details = self.0.details_2x2(x);
                let details = self.cast(details, DOUBLE);
                let mean = self.mean_square(details, is_image);
                // Four values of a block have three degrees of freedom.
                let mean = self.times(mean, 4.0 / 3.0);
                self.plus(mean, -detail_rms * detail_rms)
            }
        }
    }

    /// `1 / sqrt(1 + sigma^2)`
    fn shrink(&mut self, sigma: Value) -> Value {
        let square = self.square(sigma);
        let total = self.plus(square, 1.0);
        let root = self.root(total);
        self.over(1.0, root)
    }

    /// As [`Process::mean_at`] and [`Process::time`] of VP and sub-VP.
    fn time(&mut self, process: Process, sigma: Value) -> (Value, Value) {
        let (mean, beta_min, beta_max) = match process {
            Process::SubVp { beta_min, beta_max } => {
                let square = self.square(sigma);
                let total = self.plus(square, 4.0);
                let root = self.root(total);
                let sum = self.0.add(sigma, root);
                (self.over(2.0, sum), beta_min, beta_max)
            }
            Process::Vp { beta_min, beta_max } => (self.shrink(sigma), beta_min, beta_max),
            Process::Ve => unreachable!("its networks get sigma"),
        };
        let twice = self.log(mean);
        let twice = self.times(twice, -2.0);
        let root = self.times(twice, 2.0 * (beta_max - beta_min));
        let root = self.plus(root, beta_min * beta_min);
        let root = self.root(root);
        let sum = self.plus(root, beta_min);
        let numerator = self.times(twice, 2.0);
        (mean, self.0.div(numerator, sum))
    }

    /// `c_skip` and `c_out` of a discrete schedule; `shrink` is `1 / sqrt(1 + sigma^2)`.
    fn quantity(&mut self, quantity: Quantity, sigma: Value, shrink: Value) -> (Option<Value>, Out) {
        match quantity {
            Quantity::Epsilon => (None, Out::Known(self.times(sigma, -1.0))),
            Quantity::V => {
                let skip = self.square(shrink);
                let out = self.0.mul(sigma, shrink);
                (Some(skip), Out::Known(self.times(out, -1.0)))
            }
            Quantity::Sample => (Some(self.number(0.0)), Out::One),
        }
    }

    /// The step of a noise level: the sum of the shares of all intervals between two levels that lie below it.
    fn step(&mut self, levels: &[f64], sigma: Value) -> Value {
        let finite: Vec<f64> = levels.iter().copied().filter(|level| level.is_finite()).collect();
        let logs: Vec<f64> = finite.iter().map(|level| level.ln()).collect();
        let lengths = logs.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let starts = self.0.doubles(logs[..logs.len().saturating_sub(1)].to_vec());
        let lengths = self.0.doubles(lengths);
        let log = self.log(sigma);
        let shares = self.0.sub(log, starts);
        let shares = self.0.div(shares, lengths);
        let shares = self.at_least(shares, 0.0);
        let shares = self.at_most(shares, 1.0);
        let axes = self.0.integers(&[1]);
        let step = self.0.apply("ReduceSum", &[shares, axes], &[]);
        let (true, Some(&low)) = (finite.len() < levels.len(), finite.last()) else { return step };
        // Before an infinite level the step is found by the signal.
        let share = self.over(-low, sigma);
        let share = self.plus(share, 1.0);
        let share = self.at_least(share, 0.0);
        self.0.add(step, share)
    }

    /// The factor of a field in `yhat`, from its components along the data: `(|E| + gamma) / sqrt(N)`.
    fn field_factor(&mut self, raw: Value, z: Value, gamma: f64, is_image: bool) -> Value {
        /// Largest mean square of a normalized field.
        const MAX_SHARE: f64 = 1.0 - 1e-9;
        let share = self.mean_square(raw, is_image);
        let share = self.at_most(share, MAX_SHARE);
        let rest = self.times(share, -1.0);
        let rest = self.plus(rest, 1.0);
        let along = self.times(share, gamma);
        let square = self.square(z);
        let (first, second) = (self.times(along, gamma), self.0.mul(rest, square));
        let root = self.0.add(first, second);
        let root = self.root(root);
        let sum = self.0.add(along, root);
        let field = self.0.div(sum, rest);
        let length = self.plus(field, gamma);
        let sides = self.0.apply("Shape", &[raw], &[("start", Attribute::Int(1))]);
        let count = self.0.unary("ReduceProd", sides);
        let count = self.cast(count, DOUBLE);
        let count = self.root(count);
        self.0.div(length, count)
    }
}
