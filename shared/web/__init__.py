"""What every HTTP front of ours shares: the app, errors, headers, static files, pages, the event stream."""
