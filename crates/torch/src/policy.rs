//! Names of functions that execute code. They are never called here; a file that calls one is rejected as a whole.

/// Packages whose functions are all forbidden.
const PACKAGES: [&str; 31] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "_posixsubprocess",
    "popen2",
    "sys",
    "importlib",
    "_frozen_importlib",
    "_frozen_importlib_external",
    "pkgutil",
    "runpy",
    "shutil",
    "socket",
    "_socket",
    "pty",
    "webbrowser",
    "ctypes",
    "_ctypes",
    "cffi",
    "pip",
    "marshal",
    "bdb",
    "pdb",
    "timeit",
    "cProfile",
    "ensurepip",
    "ftplib",
    "smtplib",
    "requests",
    "urllib",
];

/// Packages that read pickles: their `load` and `loads` are forbidden.
const UNPICKLERS: [&str; 6] = ["pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib"];

/// Single forbidden functions.
const FUNCTIONS: [&str; 40] = [
    "builtins.eval",
    "builtins.exec",
    "builtins.execfile",
    "builtins.compile",
    "builtins.open",
    "builtins.file",
    "builtins.input",
    "builtins.apply",
    "builtins.getattr",
    "builtins.setattr",
    "builtins.delattr",
    "builtins.globals",
    "builtins.locals",
    "builtins.vars",
    "builtins.breakpoint",
    "builtins.exit",
    "builtins.quit",
    "builtins.__import__",
    "io.open",
    "io.FileIO",
    "_io.open",
    "_io.FileIO",
    "codecs.open",
    "code.interact",
    "code.InteractiveInterpreter",
    "code.InteractiveConsole",
    "commands.getoutput",
    "commands.getstatusoutput",
    "platform.popen",
    "profile.run",
    "operator.attrgetter",
    "operator.methodcaller",
    "_operator.attrgetter",
    "_operator.methodcaller",
    "types.FunctionType",
    "types.CodeType",
    "torch.load",
    "torch.jit.load",
    "torch.serialization.load",
    "numpy.load",
];

/// Whether calling `name` ("module.name", with [`canonical`] module names) is forbidden.
pub fn denied(name: &str) -> bool {
    let (module, function) = name.rsplit_once('.').unwrap_or(("", name));
    let package = module.split('.').next().unwrap_or_default();
    // A name may go through another module's imports: `logging.os.system`.
    let through = module.split('.').skip(1).any(|part| matches!(part, "os" | "posix" | "nt" | "subprocess" | "sys"));
    let torch_hub = module == "torch.hub" || module.starts_with("torch.hub.");
    let unpickles = UNPICKLERS.contains(&package) && matches!(function, "load" | "loads" | "Unpickler");
    let dunder = module.contains("__builtins__") || module.contains("__globals__");
    PACKAGES.contains(&package) || FUNCTIONS.contains(&name) || through || torch_hub || unpickles || dunder
}

/// Returns a name with its module renamed as in Python 3 and NumPy 2.
pub fn canonical(module: &str, name: &str) -> String {
    let module = match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        _ => module,
    };
    match module.strip_prefix("numpy.core.") {
        Some(rest) => format!("numpy._core.{rest}.{name}"),
        None => format!("{module}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_things_is_denied() {
        for name in [
            "os.system",
            "os.path.join",
            "posix.system",
            "nt.system",
            "subprocess.Popen",
            "sys.exit",
            "builtins.eval",
            "builtins.exec",
            "builtins.getattr",
            "builtins.__import__",
            "importlib.import_module",
            "runpy._run_code",
            "shutil.rmtree",
            "socket.create_connection",
            "pty.spawn",
            "webbrowser.open",
            "ctypes.CDLL",
            "pickle.loads",
            "_pickle.loads",
            "torch.hub.load",
            "torch.load",
            "logging.os.system",
            "builtins.print.__globals__.get",
        ] {
            assert!(denied(name), "{name}");
        }
    }

    #[test]
    fn what_checkpoints_hold_is_not() {
        for name in [
            "collections.OrderedDict",
            "torch._utils._rebuild_tensor_v2",
            "torch.nn.modules.linear.Linear",
            "training.networks.EDMPrecond",
            "ml_collections.config_dict.config_dict.ConfigDict",
            "argparse.Namespace",
            "optimizers.os_adam.Adam",
            "builtins.set",
        ] {
            assert!(!denied(name), "{name}");
        }
    }

    #[test]
    fn modules_have_one_name() {
        assert_eq!(canonical("__builtin__", "eval"), "builtins.eval");
        assert_eq!(canonical("numpy.core.multiarray", "scalar"), "numpy._core.multiarray.scalar");
        assert_eq!(canonical("numpy.corelike", "x"), "numpy.corelike.x");
    }
}
