//! U-Nets for images of any size that their strides divide.

mod blocks;
mod ddpmpp;

pub use ddpmpp::{Unet, UnetConfig};
