//! EDM2's residual block as operators of ONNX.

use pfgm_burn_ops::Filter;

use super::Edm2Block;
use crate::{
    onnx::{Graph, Value},
    unet::{
        block::onnx::GraphBlock,
        edm2::layers::{
            MpConv,
            onnx::{graph_pixel_norm, graph_silu, graph_sum},
        },
        plan::BlockPlan,
    },
};

impl Edm2Block {
    fn graph_attention(&self, graph: &mut Graph, x: Value, [qkv, project]: [&MpConv; 2], channels: usize) -> Value {
        let place = graph.sides(x, 2, 4);
        let qkv = qkv.graph(graph, x);
        let parts = graph.head_parts(qkv, channels, self.heads);
        let parts = graph_pixel_norm(graph, parts, 3);
        let mixed = graph.mixed(parts, place, [channels, self.heads]);
        let mixed = project.graph(graph, mixed);
        graph_sum(graph, [x, mixed], self.attention_balance)
    }

    fn graph_skip(&self, graph: &mut Graph, x: Value) -> Value {
        match &self.skip {
            Some(skip) => skip.graph(graph, x),
            None => x,
        }
    }
}

impl GraphBlock for Edm2Block {
    fn graph(&self, graph: &mut Graph, x: Value, embedding: Value, plan: &BlockPlan) -> Value {
        let mut x = self.resample.graph(graph, x, Filter::Box, plan.inputs);
        if self.encoder {
            x = self.graph_skip(graph, x);
            x = graph_pixel_norm(graph, x, 1);
        }
        let y = graph_silu(graph, x);
        let y = self.conv0.graph(graph, y);
        let factor = self.embedding.graph(graph, embedding);
        let gain = graph.tensor(self.gain.val());
        let factor = graph.mul(factor, gain);
        let factor = graph.plus(factor, 1.0);
        let factor = graph.per_image(factor);
        let y = graph.mul(y, factor);
        let y = graph_silu(graph, y);
        let y = self.conv1.graph(graph, y);
        if !self.encoder {
            x = self.graph_skip(graph, x);
        }
        x = graph_sum(graph, [x, y], self.residual_balance);
        if let (Some(qkv), Some(project)) = (&self.qkv, &self.project) {
            x = self.graph_attention(graph, x, [qkv, project], plan.outputs);
        }
        let bounds = [-self.clip, self.clip].map(|bound| graph.floats(vec![bound as f32], &[]));
        graph.apply("Clip", &[x, bounds[0], bounds[1]], &[])
    }

    fn graph_concat(&self, graph: &mut Graph, [x, stored]: [Value; 2], channels: [usize; 2]) -> Value {
        let (t, [a, b]) = (self.concat_balance, channels.map(|channels| channels as f64));
        let scale = ((a + b) / ((1.0 - t).powi(2) + t * t)).sqrt();
        let x = graph.scaled(x, scale * (1.0 - t) / a.sqrt());
        let stored = graph.scaled(stored, scale * t / b.sqrt());
        graph.concat(&[x, stored], 1)
    }
}
