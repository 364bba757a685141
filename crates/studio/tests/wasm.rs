//! Compares the field of the page with that of the library: the same code, compiled twice.
#![allow(missing_docs)]

use pfgm_studio::page::WASM;
use pfgm_web::{Map, Playground};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use wasmi::{Engine, Instance, Linker, Memory, Module, Store, WasmParams, WasmResults};

/// The module as a browser has it.
struct Page {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    at: i32,
}

impl Page {
    fn new() -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, WASM).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        let mut page = Self { store, instance, memory, at: 0 };
        page.at = page.call("playground_new", ());
        page
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> R {
        let function = self.instance.get_typed_func::<P, R>(&self.store, name).unwrap();
        function.call(&mut self.store, parameters).unwrap()
    }

    fn write(&mut self, name: &str, values: &[f64]) {
        let at: i32 = self.call(name, (self.at, (values.len() / 2) as i32));
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.memory.write(&mut self.store, at as usize, &bytes).unwrap();
    }

    fn read<const SIZE: usize>(&self, at: i32, count: usize) -> Vec<[u8; SIZE]> {
        let bytes = &self.memory.data(&self.store)[at as usize..][..SIZE * count];
        bytes.chunks_exact(SIZE).map(|chunk| chunk.try_into().unwrap()).collect()
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-10 * (1.0 + a.abs().max(b.abs()))
}

#[test]
fn the_page_computes_what_the_library_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut page = Page::new();
    for (d, softening) in [(1.0, 0.0), (0.5, 0.0), (128.0, 0.0), (f64::INFINITY, 0.0), (1.0, 0.3)] {
        let charges: Vec<f64> = (0..2 * 37).map(|_| rng.random_range(-1.0..1.0)).collect();
        let points: Vec<f64> = (0..2 * 53).map(|_| rng.random_range(-2.0..2.0)).collect();
        let mut own = Playground::default();
        own.charges.clone_from(&charges);
        own.points.clone_from(&points);
        page.write("playground_charges", &charges);
        page.write("playground_points", &points);
        let (at, found) = (page.at, own.set(d, softening));
        assert_eq!(page.call::<_, i32>("playground_set", (at, d, softening)) == 1, found);

        let map = Map { first: [-1.5, -1.0], step: [0.1, 0.07], cells: [30, 21] };
        assert!(own.potential(map, 0.2));
        let asked = (at, map.first[0], map.first[1], map.step[0], map.step[1], 30, 21, 0.2);
        assert_eq!(page.call::<_, i32>("playground_potential", asked), 1);
        let answer: i32 = page.call("playground_map", at);
        for (found, own) in page.read::<4>(answer, own.map.len()).into_iter().zip(&own.map) {
            let found = f32::from_le_bytes(found);
            assert!((found - own).abs() <= 1e-5 * (1.0 + own.abs()), "D = {d}: {found} {own}");
        }

        assert!(own.carry(1.7, 0.05, 12));
        assert_eq!(page.call::<_, i32>("playground_carry", (at, 1.7, 0.05, 12)), 1);
        let answer: i32 = page.call("playground_paths", at);
        assert_eq!(own.paths.len(), 13 * points.len());
        for (found, own) in page.read::<8>(answer, own.paths.len()).into_iter().zip(&own.paths) {
            let found = f64::from_le_bytes(found);
            assert!(close(found, *own), "D = {d}: {found} {own}");
        }

        if softening > 0.0 {
            continue;
        }
        for name in ["playground_on_charges", "playground_on_hemisphere"] {
            assert_eq!(page.call::<_, i32>(name, (at, 11, 0.4, 5)), 1);
            let right =
                if name.ends_with("charges") { own.on_charges(11, 0.4, 5) } else { own.on_hemisphere(11, 0.4, 5) };
            assert!(right);
            let answer: i32 = page.call("playground_points", (at, 11));
            for (found, own) in page.read::<8>(answer, 22).into_iter().zip(&own.points) {
                let found = f64::from_le_bytes(found);
                assert!(close(found, *own), "D = {d}: {found} {own}");
            }
        }
    }
}

#[test]
fn nonsense_makes_no_field() {
    let mut own = Playground::default();
    assert!(!own.set(1.0, 0.0), "no charge");
    own.charges = vec![0.0, f64::NAN];
    assert!(!own.set(1.0, 0.0));
    own.charges = vec![0.0, 0.0];
    assert!(!own.set(f64::NAN, 0.0) && !own.set(-1.0, 0.0));
    assert!(!own.carry(1.0, 2.0, 3) && !own.potential(Map { first: [0.0; 2], step: [1.0; 2], cells: [1, 1] }, 1.0));
}
