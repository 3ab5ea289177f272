"""Set-up of a machine, the demo's start, and the checks of the project about itself."""
