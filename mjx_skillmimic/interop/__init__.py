"""Other people's formats, simulators and interfaces; xyzw quaternions and foreign DoF orders end here."""
