//! Gradients of convolutions' weights, told of while the backward pass goes on: what has to travel can leave early.
//!
//! Burn hands gradients out when a backward pass is over. The convolutions here have backward passes of their own, and most weights of
//! image networks; they tell a listener of each gradient as soon as it is there. Only on the CPU: elsewhere convolutions are Burn's.

use std::cell::RefCell;

use burn::{
    backend::{Backend, BackendTensor, DispatchTensorKind, autodiff::NodeId, tensor::FloatTensor},
    tensor::{Tensor, read_sync},
};

type Listener = Box<dyn FnMut(u64, &[f32])>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
}

/// Does `work`; for each convolution whose backward pass is done meanwhile by this thread, `listener` gets the [`node`] of the weights and
/// their gradient.
pub fn listen<R>(listener: impl FnMut(u64, &[f32]) + 'static, work: impl FnOnce() -> R) -> R {
    /// However `work` ends, nobody listens after it.
    struct Listening;
    impl Drop for Listening {
        fn drop(&mut self) {
            LISTENER.take();
        }
    }
    LISTENER.set(Some(Box::new(listener)));
    let _listening = Listening;
    work()
}

/// Tells the listener of this thread, if there is one.
pub(crate) fn announce<B: Backend>(weight: NodeId, gradient: &FloatTensor<B>) {
    LISTENER.with_borrow_mut(|listener| {
        if let Some(listener) = listener {
            let data = read_sync(B::float_into_data(gradient.clone())).expect("the gradient can be read");
            listener(weight.value, data.as_slice().expect("single precision"));
        }
    });
}

/// What [`listen`] calls these weights; none where they have no gradients, or not on the CPU.
pub fn node<const D: usize>(weights: &Tensor<D>) -> Option<u64> {
    let DispatchTensorKind::Autodiff(inner) = weights.clone().into_dispatch().kind else { return None };
    match *inner {
        DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) => Some(tensor.id().value),
        _ => None,
    }
}
