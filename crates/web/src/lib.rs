//! The exact field of `pfgm-flow` as functions that a page can call: numbers and pointers, no glue that a tool would have to write.
//!
//! `cargo xtask wasm` compiles this for `wasm32-unknown-unknown` and puts it where `pfgm studio` embeds it. A [`Playground`] is made
//! by [`playground_new`]; arrays are written to and read from the module's memory at the addresses that `playground_charges`,
//! `playground_points`, `playground_paths` and `playground_map` give, which hold until the next call.

mod playground;

pub use playground::{Map, Playground};

/// A new playground without charges.
#[unsafe(no_mangle)]
pub extern "C" fn playground_new() -> *mut Playground {
    Box::into_raw(Box::default())
}

/// # Safety
/// `at` comes from [`playground_new`], and nobody else uses it during a call: the one promise of every function here.
unsafe fn of<'a>(at: *mut Playground) -> &'a mut Playground {
    // SAFETY: as promised.
    unsafe { &mut *at }
}

/// Room for so many charges, `[count, 2]`.
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_charges(at: *mut Playground, count: usize) -> *mut f64 {
    // SAFETY: as promised.
    let charges = unsafe { &mut of(at).charges };
    charges.resize(2 * count, 0.0);
    charges.as_mut_ptr()
}

/// Room for so many points, `[count, 2]`; those that are there stay.
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_points(at: *mut Playground, count: usize) -> *mut f64 {
    // SAFETY: as promised.
    let points = unsafe { &mut of(at).points };
    points.resize(2 * count, 0.0);
    points.as_mut_ptr()
}

/// The paths of the last [`playground_carry`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_paths(at: *mut Playground) -> *const f64 {
    // SAFETY: as promised.
    unsafe { of(at).paths.as_ptr() }
}

/// The map of the last [`playground_potential`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_map(at: *mut Playground) -> *const f32 {
    // SAFETY: as promised.
    unsafe { of(at).map.as_ptr() }
}

/// [`Playground::set`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_set(at: *mut Playground, d: f64, softening: f64) -> bool {
    // SAFETY: as promised.
    unsafe { of(at).set(d, softening) }
}

/// [`Playground::carry`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_carry(at: *mut Playground, from: f64, to: f64, steps: usize) -> bool {
    // SAFETY: as promised.
    unsafe { of(at).carry(from, to, steps) }
}

/// [`Playground::potential`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_potential(
    at: *mut Playground,
    x: f64,
    y: f64,
    step_x: f64,
    step_y: f64,
    columns: usize,
    rows: usize,
    sigma: f64,
) -> bool {
    let map = Map { first: [x, y], step: [step_x, step_y], cells: [columns, rows] };
    // SAFETY: as promised.
    unsafe { of(at).potential(map, sigma) }
}

/// [`Playground::on_hemisphere`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_on_hemisphere(at: *mut Playground, count: usize, sigma: f64, seed: u32) -> bool {
    // SAFETY: as promised.
    unsafe { of(at).on_hemisphere(count, sigma, seed.into()) }
}

/// [`Playground::on_charges`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_on_charges(at: *mut Playground, count: usize, sigma: f64, seed: u32) -> bool {
    // SAFETY: as promised.
    unsafe { of(at).on_charges(count, sigma, seed.into()) }
}
