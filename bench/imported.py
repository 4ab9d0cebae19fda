"""Everything that an app imports, for the processes of a crowd, which are forks of the one that imported it."""

from portal import create_app

create_app()
