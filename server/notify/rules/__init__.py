"""Pure rules of notices: how texts are cut, which states follow which, what an answer means."""
