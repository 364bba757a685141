//! What can be asked of a run: samples, latents, restored images, likelihoods.

use std::sync::Arc;

use axum::{Json, extract::State};
use base64::{Engine, prelude::BASE64_STANDARD};
use pfgm::{
    latent,
    likelihood::{Prior, Probe},
    measure::Measurement,
    restoration,
    sample::to_data,
    solver::{Method, SolverConfig},
};
use pfgm_data::Shape;
use pfgm_plot::Picture;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;
use utoipa::ToSchema;

use crate::{
    asked::{self, Given, Solving, check_count},
    limits::{Body, MOST_ROWS, Params, Refusal},
    queue::{Carry, Done, Pending, Way, Work},
    runs::{Model, RunName},
    server::Studio,
    watched::Look,
};

/// Rows that are scored in one request at the most: a row costs many evaluations.
const MOST_SCORED: usize = 64;

/// Samples to be drawn.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleRequest {
    /// The run, as in `GET /api/v1/runs`.
    #[schema(example = "digits")]
    pub run: String,
    /// One sample each; a sample depends on its seed and class alone.
    #[schema(example = json!([0, 1, 2, 3]))]
    pub seeds: Vec<u64>,
    /// The class of all samples, by name or number; every class in turn when it is left away.
    #[serde(default)]
    pub class: Option<String>,
    /// How much more than its share the class counts; 1 is plain.
    #[serde(default)]
    pub guidance: Option<f64>,
    /// What latents are multiplied by; 1 is plain.
    #[serde(default)]
    #[schema(example = 1.0)]
    pub scale: Option<f64>,
    /// How to solve.
    #[serde(default)]
    pub solving: Solving,
    /// Whether to send numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// The way between two samples.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InterpolateRequest {
    /// The run.
    #[schema(example = "digits")]
    pub run: String,
    /// The seed at its beginning.
    pub from: u64,
    /// The seed at its end.
    pub to: u64,
    /// Samples on it, both ends counted.
    #[schema(minimum = 2, maximum = 256, example = 9)]
    pub pictures: u32,
    /// The class of all of them; none when it is left away.
    #[serde(default)]
    pub class: Option<String>,
    /// How to solve.
    #[serde(default)]
    pub solving: Solving,
    /// Whether to send numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// Rows to be carried up to their latents.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EncodeRequest {
    /// The run.
    #[schema(example = "digits")]
    pub run: String,
    /// The rows.
    pub given: Given,
    /// Their class; none when it is left away.
    #[serde(default)]
    pub class: Option<String>,
    /// How to solve; rk45 when nothing is said.
    #[serde(default)]
    pub solving: Solving,
}

/// Latents to be carried down to data.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecodeRequest {
    /// The run.
    #[schema(example = "digits")]
    pub run: String,
    /// The latents, N numbers each.
    pub latents: Vec<Vec<f64>>,
    /// Their class; none when it is left away.
    #[serde(default)]
    pub class: Option<String>,
    /// How to solve; rk45 when nothing is said.
    #[serde(default)]
    pub solving: Solving,
    /// Whether to send numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// Noisy images to be restored.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DenoiseRequest {
    /// The run.
    #[schema(example = "digits")]
    pub run: String,
    /// The images.
    pub given: Given,
    /// The noise's standard deviation in the model's space, where images lie between -1 and 1; estimated from the first image when
    /// it is left away.
    #[serde(default)]
    pub sigma: Option<f64>,
    /// The best single guess in the mean square instead of a sample: smoother, one evaluation.
    #[serde(default)]
    pub guess: bool,
    /// Their class; none when it is left away.
    #[serde(default)]
    pub class: Option<String>,
    /// How to solve.
    #[serde(default)]
    pub solving: Solving,
    /// Whether to send numbers, too.
    #[serde(default)]
    pub values: bool,
}

/// Rows to be measured.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LikelihoodRequest {
    /// The run.
    #[schema(example = "digits")]
    pub run: String,
    /// The rows.
    pub given: Given,
    /// Their class; none when it is left away.
    #[serde(default)]
    pub class: Option<String>,
    /// Probes of the divergence; exact for rows of at most 128 values when it is left away, one for longer ones.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 64)]
    pub probes: Option<u32>,
    /// How to solve; rk45 when nothing is said.
    #[serde(default)]
    pub solving: Solving,
}

/// Rows in the data's own units.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Drawn {
    /// The run.
    pub run: String,
    /// The seeds, where there are any.
    pub seeds: Vec<u64>,
    /// The class of each, where it has one.
    pub classes: Vec<Option<String>>,
    /// How many rows.
    pub count: usize,
    /// Height, width and channels of an image; the length of a vector.
    pub shape: Vec<usize>,
    /// The images one below the other, as a PNG in base64; none of vectors.
    pub png: Option<String>,
    /// The rows as numbers: always of vectors, of images when asked for.
    pub values: Option<Vec<Vec<f32>>>,
    /// Evaluations of the network for each row.
    pub nfe: f64,
    /// Seconds that it took.
    pub seconds: f64,
    /// The command line that draws the same; none where it takes several.
    pub command: Option<String>,
    /// The command line that draws each sample by itself.
    pub commands: Vec<String>,
    /// The noise level that was started from.
    pub sigma: f64,
}

/// Latents.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Encoded {
    /// The latents.
    pub latents: Vec<Vec<f64>>,
    /// Their Euclidean norms.
    pub norms: Vec<f64>,
    /// The mean norm of the prior's latents of this many seeds, to compare with.
    pub usual_norm: f64,
    /// Evaluations of the network for each row.
    pub nfe: f64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// How likely rows are.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Likelihoods {
    /// `ln p` of each, in the data's own units.
    pub log_densities: Vec<f64>,
    /// Bits for each value, where rows are images.
    pub bits_per_dim: Option<Vec<f64>>,
    /// Evaluations of the network and its divergence for each row.
    pub nfe: f64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A run, as far as a client has to know it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunCard {
    /// Its name.
    pub name: String,
    /// The name of its data.
    pub data: String,
    /// Height, width and channels of an image; the length of a vector.
    pub shape: Vec<usize>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// D; null for infinity.
    #[serde(rename = "augmentation")]
    pub extra_dims: Option<f64>,
    /// The lowest and the highest noise level.
    pub range: (f64, f64),
    /// The run's own solver.
    pub solver: String,
    /// Its steps.
    pub steps: usize,
    /// The methods that serve this run.
    pub solvers: Vec<String>,
    /// Whether guidance other than 1 can be asked for.
    pub guidance: bool,
}

/// Which run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunQuery {
    run: String,
}

/// What a handler says.
type Answer<T> = Result<Json<T>, Refusal>;

/// The runs that are there.
#[utoipa::path(get, path = "/api/v1/runs", responses((status = 200, body = Vec<RunName>)))]
pub async fn runs(State(studio): State<Arc<Studio>>) -> Answer<Vec<RunName>> {
    studio.blocking(|studio| Ok(studio.runs.list().into_iter().map(|run| run.described()).collect())).await.map(Json)
}

/// Everything about one run.
#[utoipa::path(get, path = "/api/v1/run", params(("run" = String, Query, description = "The run")),
    responses((status = 200, body = RunCard), (status = 404, body = Refusal)))]
pub async fn run(State(studio): State<Arc<Studio>>, Params(query): Params<RunQuery>) -> Answer<RunCard> {
    studio.model(query.run).await.map(|model| Json(card(&model)))
}

fn card(model: &Model) -> RunCard {
    let record = &model.record;
    let (data, sample) = (&record.data, &record.config.sample);
    let serves = |method: &Method| {
        let solving = Solving { solver: Some(method.word().to_owned()), ..Solving::default() };
        solving.resolve(record).is_ok()
    };
    RunCard {
        name: model.name.clone(),
        data: data.name.clone(),
        shape: shape(data.shape),
        classes: data.classes.clone(),
        extra_dims: Some(record.extra_dims().to_string()).and_then(|d| d.parse().ok()).filter(|d: &f64| d.is_finite()),
        range: record.range(),
        solver: sample.solver.method.word().to_owned(),
        steps: sample.solver.steps,
        solvers: Method::ALL.into_iter().filter(serves).map(|method| method.word().to_owned()).collect(),
        guidance: !data.classes.is_empty() && record.config.train.label_dropout > 0.0,
    }
}

fn shape(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Image { height, width, channels } => vec![height, width, channels],
        Shape::Vector { len } => vec![len],
    }
}

/// Draws samples.
#[utoipa::path(post, path = "/api/v1/sample", request_body = SampleRequest,
    responses((status = 200, body = Drawn), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal),
        (status = 429, body = Refusal), (status = 503, body = Refusal)))]
pub async fn sample(State(studio): State<Arc<Studio>>, Body(request): Body<SampleRequest>) -> Answer<Drawn> {
    let mut sampling = Sampling::start(&studio, request, None).await?;
    sampling.finish().await.map(Json)
}

/// A sampling in progress.
pub struct Sampling {
    /// The run.
    pub model: Arc<Model>,
    request: SampleRequest,
    labels: Vec<Option<u32>>,
    solver: SolverConfig,
    pending: Pending,
}

impl Sampling {
    /// Checks a request and puts it into the queue.
    ///
    /// # Errors
    /// When it cannot be done.
    pub async fn start(
        studio: &Arc<Studio>,
        request: SampleRequest,
        watcher: Option<Sender<Look>>,
    ) -> Result<Self, Refusal> {
        let model = studio.model(request.run.clone()).await?;
        let record = &model.record;
        check_count("seeds", request.seeds.len(), record.dim())?;
        let chosen = asked::class(record, request.class.as_deref())?;
        let classes = record.data.classes.len() as u64;
        let in_turn = |seed: &u64| chosen.or((classes > 0).then(|| (seed % classes.max(1)) as u32));
        let labels: Vec<Option<u32>> = request.seeds.iter().map(in_turn).collect();
        let solver = request.solving.resolve(record)?;
        let carry = Carry {
            way: Way::Down,
            top: record.range().1,
            solver: solver.clone(),
            guidance: asked::guidance(record, request.guidance)?,
            x: asked::latents(&model, &request.seeds, request.scale.unwrap_or(1.0))?,
            labels: labels.clone(),
            seeds: request.seeds.clone(),
        };
        let pending = studio.queue.ask(Arc::clone(&model), Work::Carry(carry), watcher)?;
        Ok(Self { model, request, labels, solver, pending })
    }

    /// Waits for the samples.
    ///
    /// # Errors
    /// When there will be none.
    pub async fn finish(&mut self) -> Result<Drawn, Refusal> {
        let done = self.pending.answer().await?;
        let Self { model, request, labels, solver, .. } = self;
        let drawn = drawn(model, &done, labels, request.values)?;
        let line = CommandLine { model, request, solver };
        let of_one = |(seed, class): (&u64, &Option<String>)| line.of(&[*seed], class.as_deref());
        let commands = request.seeds.iter().zip(&drawn.classes).map(of_one).collect();
        let command = line.of_all();
        Ok(Drawn { seeds: request.seeds.clone(), command, commands, ..drawn })
    }
}

/// What a command line is made of.
struct CommandLine<'a> {
    model: &'a Model,
    request: &'a SampleRequest,
    solver: &'a SolverConfig,
}

impl CommandLine<'_> {
    /// That of all samples. Scaled latents are `pfgm temperature`'s, which knows one class at a time.
    fn of_all(&self) -> Option<String> {
        let in_turn = self.request.class.is_none() && !self.model.record.data.classes.is_empty();
        (!in_turn || self.scale().is_none()).then(|| self.of(&self.request.seeds, self.request.class.as_deref()))
    }

    fn scale(&self) -> Option<f64> {
        self.request.scale.filter(|scale| *scale != 1.0)
    }

    fn of(&self, seeds: &[u64], class: Option<&str>) -> String {
        let (run, seeds) = (quoted(&self.model.typed), seeds_typed(seeds));
        let class = class.map_or_else(String::new, |class| format!(" --class {}", quoted(class)));
        let solver = asked::typed(self.solver);
        match self.scale() {
            Some(scale) => format!("pfgm temperature {run} --seeds {seeds} --scale {scale}{class}{solver}"),
            None => {
                let guidance =
                    self.request.guidance.map_or_else(String::new, |guidance| format!(" --guidance {guidance}"));
                format!("pfgm sample {run} --seeds {seeds}{class}{guidance}{solver}")
            }
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Seeds as `--seeds` takes them.
fn seeds_typed(seeds: &[u64]) -> String {
    let in_a_row = seeds.len() > 2 && seeds.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
    match (seeds.first(), seeds.last()) {
        (Some(first), Some(last)) if in_a_row => format!("{first}-{last}"),
        _ => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
    }
}

/// Rows as an answer.
fn drawn(model: &Model, done: &Done, labels: &[Option<u32>], numbers: bool) -> Result<Drawn, Refusal> {
    let record = &model.record;
    let dim = record.dim();
    let rows: Vec<Vec<f32>> = done.values.chunks_exact(dim).map(|point| to_data(record, point)).collect();
    let png = png(model, &rows.concat())?;
    let classes = &record.data.classes;
    Ok(Drawn {
        run: model.name.clone(),
        seeds: Vec::new(),
        classes: labels.iter().map(|label| label.and_then(|label| classes.get(label as usize).cloned())).collect(),
        count: rows.len(),
        shape: shape(record.data.shape),
        values: (numbers || png.is_none()).then_some(rows),
        png,
        nfe: done.nfe,
        seconds: done.seconds,
        command: None,
        commands: Vec::new(),
        sigma: record.range().1,
    })
}

/// Images one below the other, as a PNG in base64; none of vectors.
pub fn png(model: &Model, values: &[f32]) -> Result<Option<String>, Refusal> {
    let data = &model.record.data;
    let Shape::Image { height, width, channels } = data.shape else { return Ok(None) };
    let count = values.len() / (height * width * channels);
    let picture = Picture { height: height * count, width, channels, range: data.range };
    let bytes = picture.png(values).map_err(|error| Refusal::unprocessable(error.to_string()))?;
    Ok(Some(BASE64_STANDARD.encode(bytes)))
}

/// Draws the way between two samples.
#[utoipa::path(post, path = "/api/v1/interpolate", request_body = InterpolateRequest,
    responses((status = 200, body = Drawn), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal),
        (status = 429, body = Refusal), (status = 503, body = Refusal)))]
pub async fn interpolate(State(studio): State<Arc<Studio>>, Body(request): Body<InterpolateRequest>) -> Answer<Drawn> {
    let model = studio.model(request.run).await?;
    let pictures = request.pictures as usize;
    if !(2..=MOST_ROWS).contains(&pictures) {
        return Err(Refusal::unprocessable(format!("pictures {pictures}: give 2 to {MOST_ROWS}")));
    }
    check_count("pictures", pictures, model.record.dim())?;
    let ends = asked::latents(&model, &[request.from, request.to], 1.0)?;
    let (from, to) = ends.split_at(model.record.dim());
    let x = asked::between(from, to, pictures);
    let solver = request.solving.way_up(&model.record)?;
    let typed = asked::typed(&solver);
    let down = Down { x, class: request.class.as_deref(), solver };
    let mut answer = carry_down(&studio, &model, down, request.values).await?;
    let class = request.class.map_or_else(String::new, |class| format!(" --class {}", quoted(&class)));
    let (run, from, to) = (quoted(&model.typed), request.from, request.to);
    answer.command = Some(format!("pfgm interpolate {run} {from} {to} --pictures {pictures}{class}{typed}"));
    answer.seeds = vec![request.from, request.to];
    Ok(Json(answer))
}

/// Latents that are carried down.
struct Down<'a> {
    x: Vec<f64>,
    class: Option<&'a str>,
    solver: SolverConfig,
}

async fn carry_down(studio: &Studio, model: &Arc<Model>, down: Down<'_>, numbers: bool) -> Result<Drawn, Refusal> {
    let record = &model.record;
    let rows = down.x.len() / record.dim();
    let labels = vec![asked::class(record, down.class)?; rows];
    let carry = Carry {
        way: Way::Down,
        top: record.range().1,
        solver: down.solver,
        guidance: asked::guidance(record, None)?,
        x: down.x,
        labels: labels.clone(),
        seeds: (0..rows as u64).collect(),
    };
    let done = studio.queue.ask(Arc::clone(model), Work::Carry(carry), None)?.answer().await?;
    drawn(model, &done, &labels, numbers)
}

/// Carries latents down to data.
#[utoipa::path(post, path = "/api/v1/decode", request_body = DecodeRequest,
    responses((status = 200, body = Drawn), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal),
        (status = 429, body = Refusal), (status = 503, body = Refusal)))]
pub async fn decode(State(studio): State<Arc<Studio>>, Body(request): Body<DecodeRequest>) -> Answer<Drawn> {
    let model = studio.model(request.run).await?;
    let dim = model.record.dim();
    check_count("latents", request.latents.len(), dim)?;
    let wrong = request
        .latents
        .iter()
        .position(|latent| latent.len() != dim || !latent.iter().all(|value| value.is_finite() && value.abs() < 1e12));
    if let Some(at) = wrong {
        return Err(Refusal::unprocessable(format!("latents[{at}]: give {dim} finite numbers")));
    }
    let (x, solver) = (request.latents.concat(), request.solving.way_up(&model.record)?);
    let down = Down { x, class: request.class.as_deref(), solver };
    carry_down(&studio, &model, down, request.values).await.map(Json)
}

/// Carries rows up to their latents.
#[utoipa::path(post, path = "/api/v1/encode", request_body = EncodeRequest,
    responses((status = 200, body = Encoded), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal),
        (status = 429, body = Refusal), (status = 503, body = Refusal)))]
pub async fn encode(State(studio): State<Arc<Studio>>, Body(request): Body<EncodeRequest>) -> Answer<Encoded> {
    let model = studio.model(request.run).await?;
    let record = &model.record;
    let x = request.given.points(record)?;
    let rows = x.len() / record.dim();
    let carry = Carry {
        way: Way::Up,
        top: record.range().1,
        solver: request.solving.way_up(record)?,
        guidance: asked::guidance(record, None)?,
        x,
        labels: vec![asked::class(record, request.class.as_deref())?; rows],
        seeds: (0..rows as u64).collect(),
    };
    let done = studio.queue.ask(Arc::clone(&model), Work::Carry(carry), None)?.answer().await?;
    let latents: Vec<Vec<f64>> = done.values.chunks_exact(model.record.dim()).map(<[f64]>::to_vec).collect();
    let some: Vec<u64> = (0..64).collect();
    let usual = asked::latents(&model, &some, 1.0)?;
    let mut norms: Vec<f64> = usual.chunks_exact(model.record.dim()).map(latent::norm).collect();
    norms.sort_by(f64::total_cmp);
    Ok(Json(Encoded {
        norms: latents.iter().map(|latent| latent::norm(latent)).collect(),
        // The middle one: for small D the mean is that of a few giants.
        usual_norm: norms[norms.len() / 2],
        latents,
        nfe: done.nfe,
        seconds: done.seconds,
    }))
}

/// Takes noise off images.
#[utoipa::path(post, path = "/api/v1/denoise", request_body = DenoiseRequest,
    responses((status = 200, body = Drawn), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal),
        (status = 429, body = Refusal), (status = 503, body = Refusal)))]
pub async fn denoise(State(studio): State<Arc<Studio>>, Body(request): Body<DenoiseRequest>) -> Answer<Drawn> {
    let model = studio.model(request.run).await?;
    let record = &model.record;
    let Shape::Image { height, width, channels } = record.data.shape else {
        return Err(Refusal::unprocessable("denoise: the run's rows are no images"));
    };
    let x = request.given.points(record)?;
    let (lowest, highest) = record.range();
    let estimated = || restoration::estimate_noise(&x[..record.dim()], [height, width, channels]).unwrap_or(lowest);
    let sigma = request.sigma.unwrap_or_else(|| estimated().clamp(1.01 * lowest, highest));
    if !(sigma > lowest && sigma <= highest) {
        return Err(Refusal::unprocessable(format!("sigma {sigma}: give a number above {lowest}, at most {highest}")));
    }
    let labels = vec![asked::class(record, request.class.as_deref())?; x.len() / record.dim()];
    let carry = Carry {
        way: if request.guess { Way::Guess } else { Way::Down },
        top: sigma,
        solver: request.solving.resolve(record)?,
        guidance: asked::guidance(record, None)?,
        seeds: (0..labels.len() as u64).collect(),
        labels: labels.clone(),
        x,
    };
    let done = studio.queue.ask(Arc::clone(&model), Work::Carry(carry), None)?.answer().await?;
    Ok(Json(Drawn { sigma, ..drawn(&model, &done, &labels, request.values)? }))
}

/// Measures how likely rows are.
#[utoipa::path(post, path = "/api/v1/likelihood", request_body = LikelihoodRequest,
    responses((status = 200, body = Likelihoods), (status = 400, body = Refusal), (status = 404, body = Refusal),
        (status = 413, body = Refusal), (status = 415, body = Refusal), (status = 422, body = Refusal),
        (status = 429, body = Refusal), (status = 503, body = Refusal)))]
pub async fn likelihood(
    State(studio): State<Arc<Studio>>,
    Body(request): Body<LikelihoodRequest>,
) -> Answer<Likelihoods> {
    /// Values of a row up to which the divergence is found exactly.
    const EXACT_UP_TO: usize = 128;
    let model = studio.model(request.run).await?;
    let record = &model.record;
    let dim = record.dim();
    let values = request.given.values(record)?;
    let rows = values.len() / dim;
    if rows > MOST_SCORED {
        return Err(Refusal::unprocessable(format!("given: {rows} rows; give at most {MOST_SCORED}")));
    }
    let probes = request.probes.unwrap_or(1) as usize;
    if !(1..=64).contains(&probes) {
        return Err(Refusal::unprocessable(format!("probes {probes}: give 1 to 64")));
    }
    let image = matches!(record.data.shape, Shape::Image { .. });
    let whole = image && record.data.range.1 > 1.0;
    let how = Measurement {
        solver: request.solving.way_up(record)?,
        probe: (request.probes.is_some() || dim > EXACT_UP_TO).then_some(Probe::Rademacher),
        probes,
        draws: 1,
        prior: Prior::Exact,
        seed: 0,
        batch: 64,
    };
    let labels = vec![asked::class(record, request.class.as_deref())?; rows];
    // Images have whole values; what scaling made of them is rounded before it is given a density.
    let values = if whole { values.into_iter().map(f32::round).collect() } else { values };
    let work = Work::Score { values, labels, whole, how };
    let done = studio.queue.ask(Arc::clone(&model), work, None)?.answer().await?;
    let bits = |log: &f64| -log / (dim as f64 * std::f64::consts::LN_2);
    Ok(Json(Likelihoods {
        bits_per_dim: image.then(|| done.values.iter().map(bits).collect()),
        log_densities: done.values,
        nfe: done.nfe,
        seconds: done.seconds,
    }))
}
