//! Presets: named configurations inside the library.

/// A configuration with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name.
    pub name: &'static str,
    /// The configuration in TOML.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        /// All presets, the default first.
        pub const PRESETS: &[Preset] =
            &[$(Preset { name: $name, text: include_str!(concat!("../presets/", $name, ".toml")) }),*];
    };
}

presets![
    "digits",
    "heart",
    "fashion-mnist",
    "wine",
    "cifar10",
    "cifar10-deep",
    "cifar10-ncsnpp",
    "cifar10-ve",
    "cifar10-vp",
    "cifar10-sub-vp",
    "cifar10-pfgmpp",
    "cifar10-pfgmpp-cond",
    "cifar10-edm",
    "cifar10-edm-cond",
    "celeba64",
    "bedroom256",
    "ffhq64-pfgmpp",
    "edm2-digits",
    "edm2-img64-s",
];

macro_rules! cascades {
    ($($name:literal),* $(,)?) => {
        /// All cascades: files with a `[[stage]]` for each flow.
        pub const CASCADES: &[Preset] =
            &[$(Preset { name: $name, text: include_str!(concat!("../presets/cascades/", $name, ".toml")) }),*];
    };
}

cascades!["digits-4-8", "fashion-mnist-7-28", "cifar10-16-32"];

/// Returns the cascade of a name.
pub fn find_cascade(name: &str) -> Option<Preset> {
    CASCADES.iter().copied().find(|preset| preset.name == name)
}

/// Returns the preset of a name.
pub fn find(name: &str) -> Option<Preset> {
    PRESETS.iter().copied().find(|preset| preset.name == name)
}

impl Preset {
    /// The description: the first comment of the configuration.
    pub fn description(self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }
}
