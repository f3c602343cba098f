"""nightlane view: the pages of a workspace, served on this machine while sessions run and after."""
