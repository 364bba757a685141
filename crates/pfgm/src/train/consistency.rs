//! Targets of consistency tuning.

use std::ops::Range;

use burn::module::Module;

use super::{batches::Batch, trainer::Trainer};
use crate::{
    guided::guide,
    network::{ConditioningTensors, Dropout, Network},
    objective::ConsistencyObjective,
    prediction::TrainingPoints,
};

/// The run that is distilled, for a batch.
struct Teacher<'a> {
    network: &'a Network,
    guidance: f64,
    conditioning: &'a ConditioningTensors,
    /// The lowest level that it knows.
    low: f64,
}

impl Trainer {
    /// Targets of some items of a batch: `f(x_s, s)` without gradient, with the dropout masks of `f(x_t, t)`. Where s = 0, the target is
    /// `x_0` by the boundary condition `f(x, 0) = x`. `points` are the upper points of the pairs.
    pub(super) fn consistency_targets(
        &self,
        network: &Network,
        (objective, batch): (&ConsistencyObjective, &Batch),
        items: Range<usize>,
        points: &TrainingPoints,
        masks: Option<Dropout>,
    ) -> Vec<f32> {
        let low = self.spec.range().0;
        let stage = objective.stage(batch.step);
        let rows: Vec<usize> = items.collect();
        let device = self.device.clone().inner();
        let conditioning = batch.conditioning.tensors(&rows, self.spec.data.classes.len(), &device);
        let teacher = self.teacher.as_ref().map(|network| Teacher {
            network,
            guidance: objective.guidance,
            conditioning: &conditioning,
            low,
        });
        let mut lower = match &teacher {
            Some(teacher) if objective.teacher => self.follow(teacher, objective, points, stage),
            Some(teacher) => self.guide(teacher, points, objective.lower_points(points, stage, low)),
            None => objective.lower_points(points, stage, low),
        };
        let is_data: Vec<bool> = lower.sigma.iter().map(|&sigma| sigma == 0.0).collect();
        // The network knows levels of the flow only; what it returns for the others is not used.
        lower.sigma.iter_mut().for_each(|sigma| *sigma = sigma.max(low));
        // A network without gradients: the target is a constant.
        let ends = self.estimates(&network.valid(), &lower, conditioning, masks);
        let rows = lower.x.chunks_exact_mut(points.dim).zip(ends.chunks_exact(points.dim)).zip(is_data);
        for ((x, end), is_data) in rows {
            if !is_data {
                x.copy_from_slice(end);
            }
        }
        lower.x
    }

    /// Moves lower points to where the guided flow leads: with `yhat_w = y + (w - 1) (yhat_c - yhat_u)` in place of y, where c is the
    /// teacher's estimate with and u that without the class.
    fn guide(&self, teacher: &Teacher, points: &TrainingPoints, mut lower: TrainingPoints) -> TrainingPoints {
        let with = self.estimates(teacher.network, points, teacher.conditioning.clone(), None);
        let without = self.estimates(teacher.network, points, teacher.conditioning.clone().without_classes(), None);
        for (at, x) in lower.x.iter_mut().enumerate() {
            let row = at / points.dim;
            let share = 1.0 - lower.sigma[row] / points.sigma[row];
            *x += (share * (teacher.guidance - 1.0)) as f32 * (with[at] - without[at]);
        }
        lower
    }

    /// The lower points to which a Heun step of the teacher's flow leads from the upper ones; an Euler step where it ends at the data (PFCM,
    /// arXiv 2402.08159).
    fn follow(
        &self,
        teacher: &Teacher,
        objective: &ConsistencyObjective,
        points: &TrainingPoints,
        stage: u32,
    ) -> TrainingPoints {
        // An Euler step leads to `yhat + (s/t) (x_t - yhat)`: the lower point of a pair with yhat in place of y.
        let points = TrainingPoints { yhat: self.guided_estimates(teacher, points), ..points.clone() };
        let mut lower = objective.lower_points(&points, stage, teacher.low);
        let sigma = lower.sigma.iter().map(|sigma| sigma.max(teacher.low)).collect();
        let next = self.guided_estimates(teacher, &TrainingPoints { sigma, ..lower.clone() });
        for (at, x) in lower.x.iter_mut().enumerate() {
            let (t, s) = (points.sigma[at / points.dim], lower.sigma[at / points.dim]);
            if s > 0.0 {
                let slope = |x: f32, yhat: f32, level: f64| f64::from(x - yhat) / level;
                let slopes = slope(points.x[at], points.yhat[at], t) + slope(*x, next[at], s);
                *x = (f64::from(points.x[at]) + 0.5 * (s - t) * slopes) as f32;
            }
        }
        lower
    }

    /// The teacher's estimates of `yhat`, guided.
    fn guided_estimates(&self, teacher: &Teacher, points: &TrainingPoints) -> Vec<f32> {
        let mut with = self.estimates(teacher.network, points, teacher.conditioning.clone(), None);
        if teacher.guidance != 1.0 {
            let without = self.estimates(teacher.network, points, teacher.conditioning.clone().without_classes(), None);
            guide(teacher.guidance as f32, &mut with, &without);
        }
        with
    }

    /// Output of a network without gradients, in the units of the model.
    ///
    /// # Shapes
    /// The result: `[batch, N]`
    pub(super) fn estimates(
        &self,
        network: &Network,
        points: &TrainingPoints,
        conditioning: ConditioningTensors,
        masks: Option<Dropout>,
    ) -> Vec<f32> {
        let prediction = self.spec.prediction();
        let coefficients = prediction.coefficients(&points.x, &points.sigma);
        let device = self.device.clone().inner();
        let raw = self.raw(network, conditioning, (points, &coefficients), masks, &device);
        let raw: Vec<f32> = raw.into_data().try_into_vec().expect("networks return single precision");
        let mut estimates = Vec::with_capacity(points.x.len());
        let mut estimate = vec![0.0; points.dim];
        let rows = points.x.chunks_exact(points.dim).zip(raw.chunks_exact(points.dim)).zip(&coefficients);
        for ((x, raw), coefficients) in rows {
            let x: Vec<f64> = x.iter().map(|&value| f64::from(value)).collect();
            prediction.to_yhat(coefficients, &x, raw, &mut estimate);
            estimates.extend(estimate.iter().map(|&value| value as f32));
        }
        estimates
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use burn::tensor::Device;
    use pfgm_data::Dataset;

    use super::*;
    use crate::{
        config::Config,
        flow::Flow,
        network::{MlpConfig, NetworkConfig},
        objective::Objective,
        solver::{self, Solver},
        spec::ModelSpec,
        train::training_set::EpochPermutation,
        weights::{self, Weight},
    };

    fn trainer() -> Trainer {
        let data = Dataset::open("two-moons").unwrap();
        let objective = ConsistencyObjective { huber: 0.1, ..ConsistencyObjective::default() };
        let mut config = Config { objective: Objective::Consistency(objective), ..Config::default() };
        config.sample.solver = crate::solver::Solver::consistency(1).into();
        config.network = NetworkConfig::Mlp(MlpConfig { width: 16, blocks: 1, dropout: 0.2 });
        config.train.batch = 64;
        Trainer::new(ModelSpec::resolve(config, &data).unwrap(), data, None, &Device::flex()).unwrap()
    }

    fn moved(network: &Network, direction: &[f32], by: f32) -> Network {
        let mut rest = direction;
        let mut changed = HashMap::new();
        for mut weight in weights::collect(network) {
            let (own, others) = rest.split_at(weight.values.len());
            rest = others;
            weight.values.iter_mut().zip(own).for_each(|(value, change)| *value += by * change);
            changed.insert(weight.name.clone(), Weight { ..weight });
        }
        weights::assign(network.clone(), &changed).unwrap()
    }

    #[test]
    fn with_a_teacher_both_points_of_a_pair_lie_on_a_line_of_its_flow() {
        let mut trainer = trainer();
        trainer.teacher = Some(trainer.network.valid());
        let batch = trainer.sampler().batch(3000, &mut EpochPermutation::default()).unwrap();
        let Objective::Consistency(objective) = &trainer.spec.config.objective else { unreachable!() };
        let (low, _) = trainer.spec.range();
        let device = trainer.device.clone().inner();
        let rows: Vec<usize> = (0..batch.items.len()).collect();
        let conditioning = batch.conditioning.tensors(&rows, 0, &device);
        let network = trainer.teacher.as_ref().unwrap();
        let teacher = Teacher { network, guidance: 1.0, conditioning: &conditioning, low };
        let denoiser = trainer.spec.denoiser(network, vec![None; 1], 1.0, 1, &device);
        let flow = Flow { denoiser: &denoiser, extra_dims: trainer.spec.extra_dims() };
        // The error of a Heun step falls with the third power of its length, which is a fourth two stages later.
        let error = |stage: u32| {
            let lower = trainer.follow(&teacher, objective, &batch.points, stage);
            let mut worst: f64 = 0.0;
            for (row, (&t, &s)) in batch.points.sigma.iter().zip(&lower.sigma).enumerate() {
                if s < 0.05 {
                    continue;
                }
                let at = row * 2..row * 2 + 2;
                let start: Vec<f64> = batch.points.x[at.clone()].iter().map(|&x| f64::from(x)).collect();
                let mut x = start.clone();
                solver::sample(&flow, &Solver::rk45(1e-8).into(), (s, t), &mut x).unwrap();
                let away = lower.x[at].iter().zip(&x).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                worst = worst.max(away / t);
            }
            worst
        };
        let [coarse, fine] = [4, 6].map(error);
        assert!(fine < 1e-3 && fine < coarse / 30.0, "{coarse} and {fine}");
    }

    #[test]
    fn the_gradient_does_not_go_through_the_target() {
        let trainer = trainer();
        let batch = trainer.sampler().batch(3000, &mut EpochPermutation::default()).unwrap();
        let (_, gradients) = trainer.gradients(&batch, None);
        let gradient: Vec<f32> = gradients.narrow(0, gradients.len()).into_data().try_into_vec().unwrap();
        let norm = gradients.norm();
        let direction: Vec<f32> = gradient.iter().map(|value| value / norm as f32).collect();
        let Objective::Consistency(objective) = &trainer.spec.config.objective else { unreachable!() };
        let items = 0..batch.items.len();
        let targets = |network: &Network| {
            let (points, masks) = (batch.points.slice(items.clone()), trainer.masks(&batch, &items));
            trainer.consistency_targets(network, (objective, &batch), items.clone(), &points, Some(masks))
        };
        let slope = |targets_of: &dyn Fn(&Network) -> Vec<f32>| {
            let loss_of = |by: f32| {
                let loss = trainer.spec.config.objective.loss();
                let network = moved(&trainer.network, &direction, by);
                let points = TrainingPoints { yhat: targets_of(&network), ..batch.points.clone() };
                f64::from(trainer.loss_at((&network, loss), &batch, items.clone(), points, true).into_scalar::<f32>())
            };
            (loss_of(1e-3) - loss_of(-1e-3)) / 2e-3 / 64.0
        };
        let fixed = targets(&trainer.network);
        let stopped = slope(&|_| fixed.clone());
        assert!((stopped / norm - 1.0).abs() < 0.02, "{stopped} along the gradient of norm {norm}");
        let through = slope(&|network| targets(network));
        assert!((through / norm - 1.0).abs() > 0.1, "without stop-gradient it would be {through}");
    }
}
