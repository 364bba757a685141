//! Tests of the program: its output, its files, and its errors.
#![allow(missing_docs, clippy::too_many_lines)]

mod average;
mod cascade;
mod compare;
mod distill;
mod evaluate;
mod field;
mod import;
mod latents;
mod output;
mod own_data;
mod posterior;
mod published;
mod reference;
mod solvers;
mod studio;
mod support;
mod tables;
mod training;
