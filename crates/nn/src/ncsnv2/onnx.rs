//! NCSNv2 as operators of ONNX.

use super::{Block, InstanceNorm, Ncsnv2, Reach, Refine, Residuals};
use crate::onnx::{Attribute, Convolution, Graph, GraphInput, Value};
use pfgm_burn_ops::Filter;

impl Ncsnv2 {
    /// The component along r, which yhat does not need, is left out.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]` to the same
    pub(crate) fn graph(&self, graph: &mut Graph, input: GraphInput) -> Value {
        let x = self.frame.graph_enter(graph, input.x, None);
        let mut x = self.input.graph(graph, x);
        let mut levels = Vec::new();
        for blocks in self.down.chunks_exact(2) {
            x = blocks[0].graph(graph, x);
            x = blocks[1].graph(graph, x);
            levels.push(x);
        }
        let mut below = None;
        for refine in &self.up {
            let level = levels.pop().expect("a refinement for every level");
            let images: Vec<Value> = [level].into_iter().chain(below).collect();
            below = Some(refine.graph(graph, &images));
        }
        let x = self.norm.graph(graph, below.expect("at least three levels"));
        let x = graph.unary("Elu", x);
        let y = self.output.graph(graph, x);
        let y = self.frame.graph_leave(graph, y, input.x);
        if self.radial { graph.slice(y, 1, 0, self.frame.channels as i64) } else { y }
    }
}

impl Block {
    fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        let dilation = if let Reach::Dilated(distance) = self.reach { distance } else { 1 };
        let call = || Convolution { dilation, ..Convolution::default() };
        let h = self.norm0.graph(graph, x);
        let h = graph.unary("Elu", h);
        let h = self.conv0.graph_with(graph, h, call());
        let h = self.norm1.graph(graph, h);
        let h = graph.unary("Elu", h);
        let h = self.conv1.graph_with(graph, h, call());
        let x = match &self.skip {
            Some(skip) => skip.graph_with(graph, x, call()),
            None => x,
        };
        let sum = graph.add(h, x);
        if self.reach != Reach::Halved {
            return sum;
        }
        graph.resampled(sum, false, Filter::Box, self.conv1.weight().dims()[3])
    }
}

impl InstanceNorm {
    fn graph(&self, graph: &mut Graph, x: Value) -> Value {
        const EPSILON: f64 = 1e-5;
        let channels = self.gamma.dims()[0];
        let [alpha, gamma, beta] =
            [&self.alpha, &self.gamma, &self.beta].map(|values| graph.tensor(values.val().unsqueeze::<2>()));
        let means = graph.mean(x, &[2, 3]);
        let means = graph.reshape(means, &[0, channels as i64]);
        let mean = graph.mean(means, &[1]);
        let centered = graph.sub(means, mean);
        let squares = graph.mul(centered, centered);
        let variance = graph.mean(squares, &[1]);
        let variance = graph.scaled(variance, channels as f64 / channels.saturating_sub(1).max(1) as f64);
        let variance = graph.plus(variance, EPSILON);
        let deviation = graph.unary("Sqrt", variance);
        let apart = graph.div(centered, deviation);
        let shift = graph.mul(apart, alpha);
        let shift = graph.mul(shift, gamma);
        let shift = graph.add(shift, beta);
        let y = graph.normalized(x, channels, EPSILON);
        let (gamma, shift) = (graph.per_image(gamma), graph.per_image(shift));
        let y = graph.mul(y, gamma);
        graph.add(y, shift)
    }
}

impl Residuals {
    fn graph(&self, graph: &mut Graph, mut x: Value) -> Value {
        for pair in self.convs.chunks_exact(2) {
            let h = graph.unary("Elu", x);
            let h = pair[0].graph(graph, h);
            let h = graph.unary("Elu", h);
            x = pair[1].graph_with(graph, h, Convolution { residual: Some(x), ..Convolution::default() });
        }
        x
    }
}

impl Refine {
    /// The result has the size of the first image.
    fn graph(&self, graph: &mut Graph, images: &[Value]) -> Value {
        let mut adapted: Vec<Value> =
            self.adapt.iter().zip(images).map(|(adapt, image)| adapt.graph(graph, *image)).collect();
        let place = graph.sides(adapted[0], 2, 4);
        for (image, conv) in adapted.iter_mut().zip(&self.fuse) {
            let y = conv.graph(graph, *image);
            *image = resized(graph, y, place);
        }
        let fused = adapted.into_iter().reduce(|sum, image| graph.add(sum, image));
        let mut sum = graph.unary("Elu", fused.expect("a refinement has at least one image"));
        let mut path = sum;
        for conv in &self.pool {
            let attributes = [("kernel_shape", Attribute::Ints(vec![5; 2])), ("pads", Attribute::Ints(vec![2; 4]))];
            path = graph.apply("MaxPool", &[path], &attributes);
            path = conv.graph(graph, path);
            sum = graph.add(sum, path);
        }
        self.out.graph(graph, sum)
    }
}

/// Resizes images bilinearly, with aligned corners.
fn resized(graph: &mut Graph, x: Value, place: Value) -> Value {
    let front = graph.sides(x, 0, 2);
    let sides = graph.concat(&[front, place], 0);
    let none = [graph.floats(Vec::new(), &[0]), graph.floats(Vec::new(), &[0])];
    let attributes =
        [("mode", Attribute::Text("linear")), ("coordinate_transformation_mode", Attribute::Text("align_corners"))];
    graph.apply("Resize", &[x, none[0], none[1], sides], &attributes)
}
