//! How many clients send one object at once: who has one credential takes no more of the places for connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::key::Key;
use crate::listen::{add, count, take};
use crate::presign::policy::Refusal;

/// Most at once under one key: a client that tries again may have a connection or two that it has given up.
const MOST: usize = 8;

/// Counts them.
#[derive(Debug, Clone, Default)]
pub struct Sending(Arc<Mutex<HashMap<Key, usize>>>);

impl Sending {
    /// One more, until what is returned is dropped.
    pub fn begin(&self, key: &Key) -> Result<Sender, Refusal> {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count(&now, key) >= MOST {
            return Err(Refusal::new(
                503,
                "SlowDown",
                "This object is being sent too often at once. Please try again.",
            ));
        }
        add(&mut now, key.clone());
        Ok(Sender { sending: self.clone(), key: key.clone() })
    }
}

/// One who sends.
#[derive(Debug)]
pub struct Sender {
    sending: Sending,
    key: Key,
}

impl Drop for Sender {
    fn drop(&mut self) {
        take(&mut self.sending.0.lock().unwrap_or_else(PoisonError::into_inner), &self.key);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_object_is_sent_by_few_at_once() {
        let (sending, key) = (Sending::default(), Key::new("temp/a").unwrap());
        let mut held: Vec<_> = (0..MOST).map(|_| sending.begin(&key).unwrap()).collect();
        assert_eq!(sending.begin(&key).err().unwrap().code, "SlowDown");
        assert!(sending.begin(&Key::new("temp/b").unwrap()).is_ok());
        held.pop();
        assert!(sending.begin(&key).is_ok());
    }
}
