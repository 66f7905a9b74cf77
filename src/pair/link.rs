//! Is the other director linked?
//!
//! Linked is who has told its whole state: a connection that stands says nothing before. How the
//! connections go is the shell's.

use std::net::SocketAddr;

use crate::pair::post::Hearing;
use crate::time::Wall;

/// How the link to the other director stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    /// The file names none.
    #[default]
    NoPeer,
    /// None stands that has told its state.
    Down {
        /// Where it is.
        address: SocketAddr,
        /// Since when; none: there was none yet.
        since: Option<Wall>,
    },
    /// One stands that has.
    Up {
        /// Where it is.
        address: SocketAddr,
        /// Since when.
        since: Wall,
    },
}

impl LinkState {
    /// Of a director that was not linked yet.
    #[must_use]
    pub fn of(address: Option<SocketAddr>) -> Self {
        address.map_or(Self::NoPeer, |address| Self::Down {
            address,
            since: None,
        })
    }

    /// Where the other director is; none where the file names none.
    #[must_use]
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::NoPeer => None,
            Self::Down { address, .. } | Self::Up { address, .. } => Some(address),
        }
    }

    /// Since when it stands, or stands no more.
    #[must_use]
    pub const fn since(self) -> Option<Wall> {
        match self {
            Self::NoPeer => None,
            Self::Down { since, .. } => since,
            Self::Up { since, .. } => Some(since),
        }
    }

    /// Whether it stands.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up { .. })
    }

    /// Whether the other director says what it has told.
    #[must_use]
    pub const fn hearing(self) -> Hearing {
        match self {
            Self::NoPeer => Hearing::Never,
            Self::Down { .. } => Hearing::Lost,
            Self::Up { .. } => Hearing::Linked,
        }
    }

    /// The whole state was told.
    #[must_use]
    pub const fn up(self, since: Wall) -> Self {
        match self {
            Self::NoPeer | Self::Up { .. } => self,
            Self::Down { address, .. } => Self::Up { address, since },
        }
    }

    /// The link that told it is gone.
    #[must_use]
    pub const fn down(self, since: Wall) -> Self {
        match self {
            Self::NoPeer | Self::Down { .. } => self,
            Self::Up { address, .. } => Self::Down {
                address,
                since: Some(since),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_goes_up_and_down_and_without_a_peer_there_is_none() {
        let (one, two) = (Wall::from_seconds(1), Wall::from_seconds(2));
        let none = LinkState::of(None);
        for state in [none, none.up(one), none.down(one)] {
            assert_eq!((state.address(), state.since()), (None, None));
            assert_eq!((state.is_up(), state.hearing()), (false, Hearing::Never));
        }
        let address = Some("192.0.2.1:7".parse().unwrap());
        let down = LinkState::of(address);
        assert_eq!(down.down(one), down, "it was not up");
        assert_eq!((down.since(), down.hearing()), (None, Hearing::Lost));
        let up = down.up(one);
        assert_eq!(
            (up.up(two), up.since(), up.hearing()),
            (up, Some(one), Hearing::Linked)
        );
        let down = up.down(two);
        assert_eq!((down.since(), down.hearing()), (Some(two), Hearing::Lost));
        assert_eq!((down.down(one), down.address()), (down, address));
    }
}
