//! The exact field of `pfgm-flow` for web pages: functions of numbers and pointers, which need no generated glue code.
//!
//! `cargo xtask wasm` compiles this crate for `wasm32-unknown-unknown` into the file that `pfgm studio` embeds. [`playground_new`] makes a
//! [`Playground`]. A page writes and reads arrays in the memory of the module at the addresses that `playground_charges`,
//! `playground_points`, `playground_paths` and `playground_map` return. An address is valid until the next call.

mod playground;

pub use playground::{Map, Playground};

/// Makes a playground without charges.
#[unsafe(no_mangle)]
pub extern "C" fn playground_new() -> *mut Playground {
    Box::into_raw(Box::default())
}

/// # Safety
/// `at` comes from [`playground_new`], and no other call uses it at the same time. Every function here requires this.
unsafe fn of<'a>(at: *mut Playground) -> &'a mut Playground {
    // SAFETY: the caller keeps to the requirement above.
    unsafe { &mut *at }
}

/// Resizes the array of charges to `[count, 2]` and returns its address.
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_charges(at: *mut Playground, count: usize) -> *mut f64 {
    // SAFETY: the caller keeps to the requirement above.
    let charges = unsafe { &mut of(at).charges };
    charges.resize(2 * count, 0.0);
    charges.as_mut_ptr()
}

/// Resizes the array of points to `[count, 2]`, keeping its values, and returns its address.
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_points(at: *mut Playground, count: usize) -> *mut f64 {
    // SAFETY: the caller keeps to the requirement above.
    let points = unsafe { &mut of(at).points };
    points.resize(2 * count, 0.0);
    points.as_mut_ptr()
}

/// Returns the address of the paths of the last [`playground_carry`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_paths(at: *mut Playground) -> *const f64 {
    // SAFETY: the caller keeps to the requirement above.
    unsafe { of(at).paths.as_ptr() }
}

/// Returns the address of the map of the last [`playground_potential`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_map(at: *mut Playground) -> *const f32 {
    // SAFETY: the caller keeps to the requirement above.
    unsafe { of(at).map.as_ptr() }
}

/// [`Playground::set`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_set(at: *mut Playground, d: f64, softening: f64) -> bool {
    // SAFETY: the caller keeps to the requirement above.
    unsafe { of(at).set(d, softening) }
}

/// [`Playground::carry`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_carry(at: *mut Playground, from: f64, to: f64, steps: usize) -> bool {
    // SAFETY: the caller keeps to the requirement above.
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
    // SAFETY: the caller keeps to the requirement above.
    unsafe { of(at).potential(map, sigma) }
}

/// [`Playground::on_hemisphere`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_on_hemisphere(at: *mut Playground, count: usize, sigma: f64, seed: u32) -> bool {
    // SAFETY: the caller keeps to the requirement above.
    unsafe { of(at).on_hemisphere(count, sigma, seed.into()) }
}

/// [`Playground::on_charges`].
///
/// # Safety
/// `at` comes from [`playground_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn playground_on_charges(at: *mut Playground, count: usize, sigma: f64, seed: u32) -> bool {
    // SAFETY: the caller keeps to the requirement above.
    unsafe { of(at).on_charges(count, sigma, seed.into()) }
}
