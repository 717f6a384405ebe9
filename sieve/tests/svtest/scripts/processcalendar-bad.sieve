require "processcalendar";
processcalendar :updatesonly :calendarid "x";
processcalendar :organizers "tag:x";
processcalendar :outcome "x";
processcalendar :reason "y";
processcalendar "me@example.com";
