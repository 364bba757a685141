//! Hooks that receive gradients of weights during the backward pass, so that ranks can exchange them early.
//!
//! Burn returns gradients after the backward pass. Convolutions, which hold most weights of networks on images,
//! have a custom backward pass here, which calls a hook with each gradient as soon as it is computed. This works on the CPU
//! only; other devices use Burn's convolutions.

use std::cell::RefCell;

use burn::{
    backend::{Backend, BackendTensor, DispatchTensorKind, autodiff::NodeId, tensor::FloatTensor},
    tensor::{Tensor, read_sync},
};

type Hook = Box<dyn FnMut(u64, &[f32])>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Runs `work` and calls `hook` for each convolution whose backward pass this thread completes meanwhile, with the
/// [`weight_id`] of its weights and their gradient.
pub fn with_hook<R>(hook: impl FnMut(u64, &[f32]) + 'static, work: impl FnOnce() -> R) -> R {
    /// Removes the hook when dropped, also if `work` panics.
    struct Hooked;
    impl Drop for Hooked {
        fn drop(&mut self) {
            HOOK.take();
        }
    }
    HOOK.set(Some(Box::new(hook)));
    let _hooked = Hooked;
    work()
}

/// Calls this thread's hook, if there is one.
pub(crate) fn call<B: Backend>(weight: NodeId, gradient: &FloatTensor<B>) {
    HOOK.with_borrow_mut(|hook| {
        if let Some(hook) = hook {
            let data = read_sync(B::float_into_data(gradient.clone())).expect("the gradient can be read");
            hook(weight.value, data.as_slice().expect("single precision"));
        }
    });
}

/// Returns the identifier of these weights in hooks; `None` if they have no gradients, or are not on the CPU.
pub fn weight_id<const D: usize>(weights: &Tensor<D>) -> Option<u64> {
    let DispatchTensorKind::Autodiff(inner) = weights.clone().into_dispatch().kind else { return None };
    match *inner {
        DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) => Some(tensor.id().value),
        _ => None,
    }
}
