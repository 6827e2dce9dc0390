# Makes a fresh Redmine usable over REST: one project, one user who may work on its issues.
Setting.rest_api_enabled = '1'
Setting.notified_events = []

user = User.new(firstname: 'Case', lastname: 'Hook', mail: 'casehook@example.invalid', mail_notification: 'none')
user.login = 'casehook'
user.password = user.password_confirmation = File.read(ENV.fetch('CASEHOOK_PASSWORD_FILE'))
user.save!

project = Project.new(name: 'Cases', identifier: 'cases', is_public: false)
project.trackers = Tracker.all
project.enabled_module_names = %w[issue_tracking]
project.save!

role = Role.givable.first
role.add_permission!(:view_issues, :add_issues, :edit_issues, :add_issue_notes)
Member.create!(user: user, project: project, roles: [role])
