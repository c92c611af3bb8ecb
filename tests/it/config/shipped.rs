//! Configuration files as Debian, Tomcat Connectors and Axon Ivy ship them, equal in content: they
//! load as they are with the C module and with ours, and ours says what is odd about them.

use super::said;
use crate::support::httpd::{Builder, Httpd, Module};

/// What one package brings: lines for httpd, files, and what ours says about them.
struct Shipped {
    name: &'static str,
    httpd: &'static str,
    files: &'static [(&'static str, &'static [&'static str])],
    says: &'static [&'static str],
}

impl Shipped {
    fn builder(&self, module: Module) -> Builder {
        let mut builder = Httpd::builder(module)
            .no_jk_log()
            .modules(&["alias", "authz_host", "setenvif"])
            .file("conf/test.conf", self.httpd)
            .config("Include conf/test.conf");
        for (path, text) in self.files {
            builder = builder.file(path, text.concat());
        }
        builder
    }
}

#[test]
fn every_shipped_configuration_loads_with_both_modules() {
    let mut wrong = Vec::new();
    for set in SHIPPED {
        for module in Module::BOTH {
            let result = set.builder(module).config_test();
            assert!(result.status.success(), "{} {module:?}\n{}", set.name, result.output);
            assert!(result.output.contains("Syntax OK"), "{} {module:?}", set.name);
            drop(set.builder(module).start());
            if module == Module::Ours && said(&result) != set.says {
                wrong.push(format!("{} says {:#?}", set.name, said(&result)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The nodes of a cluster.
const NODES: &str = "\
worker.AxonIvyEngineNode1.type=ajp13
worker.AxonIvyEngineNode1.host=localhost
worker.AxonIvyEngineNode1.port=8009
worker.AxonIvyEngineNode1.lbfactor=2
worker.AxonIvyEngineNode1.route=ivynode1.soreco.ch

worker.AxonIvyEngineNode2.type=ajp13
worker.AxonIvyEngineNode2.host=localhost
worker.AxonIvyEngineNode2.port=8010
worker.AxonIvyEngineNode2.lbfactor=1
worker.AxonIvyEngineNode2.route=ivynode2.soreco.ch
";

const SHIPPED: [Shipped; 8] = [
    Shipped {
        name: "Debian",
        httpd: "\
<IfModule jk_module>
    JkWorkersFile @ROOT@/conf/workers.properties
    JkLogFile @ROOT@/logs/mod_jk.log
    JkLogLevel info
    JkShmFile @ROOT@/logs/jk-runtime-status
    JkWatchdogInterval 60
    <Location /jk-status>
        JkMount jk-status
        Require ip 127.0.0.1
    </Location>
    <Location /jk-manager>
        JkMount jk-manager
        Require ip 127.0.0.1
    </Location>
</IfModule>
",
        files: &[(
            "conf/workers.properties",
            &["\
# Where Tomcat and Java are.
workers.tomcat_home=/usr/share/tomcat8
workers.java_home=/usr/lib/jvm/default-java
ps=/

worker.list=ajp13_worker

worker.ajp13_worker.port=8009
worker.ajp13_worker.host=localhost
worker.ajp13_worker.type=ajp13
worker.ajp13_worker.lbfactor=1

worker.loadbalancer.type=lb
worker.loadbalancer.balance_workers=ajp13_worker
"],
        )],
        says: &[
            "warning: conf/test.conf:8: JkMount: worker jk-status is not in worker.list: \
             requests for this path get status 500; add jk-status to worker.list, which names \
             ajp13_worker",
            "warning: conf/test.conf:12: JkMount: worker jk-manager is not in worker.list: \
             requests for this path get status 500; add jk-manager to worker.list, which names \
             ajp13_worker",
            "warning: conf/workers.properties:11: worker.ajp13_worker.lbfactor: has no effect \
             on a worker that is no member of a balancer; remove the line, it is for members of \
             a balancer",
            "warning: conf/workers.properties:13: worker.loadbalancer: has properties but is \
             not in worker.list, so it is not used; add loadbalancer to worker.list, or remove \
             its properties",
        ],
    },
    Shipped {
        name: "Tomcat Connectors",
        httpd: "\
<IfModule jk_module>
    JkWorkersFile conf/workers.properties
    JkLogFile logs/mod_jk.log
    JkLogLevel info
    JkShmFile logs/mod_jk.shm
    JkWatchdogInterval 60
    JkMountFile conf/uriworkermap.properties
    JkOptions +RejectUnsafeURI
    JkStripSession On
    <Location /jk-status>
        JkMount jk-status
        Require local
    </Location>
    <Location /jk-manager>
        JkMount jk-manager
        Require local
    </Location>
    JkMount /myapp|/* balancer
    JkUnMount /myapp/static/* *
    JkUnMount /myapp/images/* balancer
    SetEnvIf REQUEST_URI \"\\.(htm|html|css|gif|jpg|js)$\" no-jk
    SetEnvIf Request_URI \"/transactions/\" JK_REPLY_TIMEOUT=600000
    SetEnvIf Request_URI \"/reports/\" JK_REPLY_TIMEOUT=0
    LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b %{JK_LB_FIRST_NAME}n %{JK_LB_LAST_NAME}n \
ACC %{JK_LB_LAST_ACCESSED}n ERR %{JK_LB_LAST_ERRORS}n BSY %{JK_LB_LAST_BUSY}n \
%{JK_LB_LAST_STATE}n %D\" extended_jk
</IfModule>
",
        files: &[
            (
                "conf/workers.properties",
                &["\
worker.list=jk-status
worker.jk-status.type=status
worker.jk-status.read_only=true

worker.list=jk-manager
worker.jk-manager.type=status

worker.list=balancer
worker.balancer.type=lb
worker.balancer.error_escalation_time=0
worker.balancer.max_reply_timeouts=10

worker.balancer.balance_workers=node1
worker.node1.reference=worker.template
worker.node1.host=localhost
worker.node1.port=8109
worker.node1.activation=A

worker.balancer.balance_workers=node2
worker.node2.reference=worker.template
worker.node2.host=localhost
worker.node2.port=8209
worker.node2.activation=A

worker.template.type=ajp13
worker.template.socket_connect_timeout=5000
worker.template.socket_keepalive=true
worker.template.ping_mode=A
worker.template.ping_timeout=10000
worker.template.connection_pool_minsize=0
worker.template.connection_pool_timeout=600
worker.template.reply_timeout=300000
worker.template.recovery_options=3
"],
            ),
            (
                "conf/uriworkermap.properties",
                &["\
/admin/*=balancer
/manager/*=balancer
/examples/*=balancer
!/examples/*.jpg=balancer
/jk-manager=jk-manager
/jk-status=jk-status
"],
            ),
        ],
        says: &[],
    },
    Shipped {
        name: "Tomcat Connectors, the first steps",
        httpd: "\
JkWorkersFile conf/workers.properties
JkShmFile     logs/mod_jk.shm
JkLogFile     logs/mod_jk.log
JkLogLevel    info
JkLogStampFormat \"[%a %b %d %H:%M:%S %Y] \"
JkMount  /examples/* worker1
",
        files: &[(
            "conf/workers.properties",
            &["\
# one worker
worker.list=worker1
# of type ajp13
worker.worker1.type=ajp13
worker.worker1.host=localhost
worker.worker1.port=8009
"],
        )],
        says: &[],
    },
    Shipped {
        name: "Tomcat Connectors, a file of the days of Tomcat 3",
        httpd: "\
JkWorkersFile conf/workers.properties
JkLogFile logs/mod_jk.log
JkOptions +ForwardKeySize +ForwardURICompat -ForwardDirectories
JkRequestLogFormat \"%w %V %T\"
JkMount /servlet/* ajp13
JkMount /*.jsp loadbalancer
",
        files: &[(
            "conf/workers.properties",
            &["\
workers.tomcat_home=/opt/tomcat
workers.java_home=/opt/jdk
ps=/
worker.list=ajp13, loadbalancer

worker.ajp13.port=8009
worker.ajp13.host=localhost
worker.ajp13.type=ajp13
worker.ajp13.lbfactor=1
worker.ajp13.cachesize=10
worker.ajp13.cache_timeout=600
worker.ajp13.socket_keepalive=1
worker.ajp13.recycle_timeout=300

worker.loadbalancer.type=lb
worker.loadbalancer.balanced_workers=ajp13
worker.loadbalancer.local_worker_only=1

worker.inprocess.type=jni
worker.inprocess.class_path=$(workers.tomcat_home)$(ps)classes
worker.inprocess.class_path=$(workers.tomcat_home)$(ps)lib$(ps)jasper.jar
worker.inprocess.cmd_line=-config
worker.inprocess.cmd_line=$(workers.tomcat_home)/conf/jni_server.xml
worker.inprocess.jvm_lib=$(workers.java_home)$(ps)jre$(ps)lib$(ps)libjvm.so
worker.inprocess.stdout=$(workers.tomcat_home)$(ps)inprocess.stdout
worker.inprocess.stderr=$(workers.tomcat_home)$(ps)inprocess.stderr
worker.inprocess.sysprops=tomcat.home=$(workers.tomcat_home)
"],
        )],
        says: &[
            "warning: conf/workers.properties:10: worker.ajp13.cachesize: is the old name of \
             connection_pool_size; write connection_pool_size instead",
            "warning: conf/workers.properties:11: worker.ajp13.cache_timeout: is the old name \
             of connection_pool_timeout; write connection_pool_timeout instead",
            "warning: conf/workers.properties:11: worker.ajp13.cache_timeout: connections that \
             are idle for up to 600 seconds are used again: where the engine closes them \
             earlier, requests find them closed; set keepAliveTimeout of its connector to \
             600000 or more, and ping_mode=P",
            "warning: conf/workers.properties:13: worker.ajp13.recycle_timeout: never has an \
             effect; remove the line",
            "warning: conf/workers.properties:16: worker.loadbalancer.balanced_workers: is the \
             old name of balance_workers; write balance_workers instead",
            "warning: conf/workers.properties:17: worker.loadbalancer.local_worker_only: never \
             has an effect; remove the line",
            "warning: conf/workers.properties:19: worker.inprocess: has properties but is not \
             in worker.list, so it is not used; remove its properties",
            "warning: conf/workers.properties:21: worker.inprocess.class_path: is set again \
             after conf/workers.properties:20, the values are joined with ':' as C mod_jk does; \
             keep one of the lines",
            "warning: conf/workers.properties:21: worker.inprocess.class_path: never has an \
             effect; remove the line",
            "warning: conf/workers.properties:23: worker.inprocess.cmd_line: is set again \
             after conf/workers.properties:22, the values are joined with ' ' as C mod_jk does; \
             keep one of the lines",
            "warning: conf/workers.properties:23: worker.inprocess.cmd_line: never has an \
             effect; remove the line",
            "warning: conf/workers.properties:24: worker.inprocess.jvm_lib: never has an \
             effect; remove the line",
            "warning: conf/workers.properties:25: worker.inprocess.stdout: never has an \
             effect; remove the line",
            "warning: conf/workers.properties:26: worker.inprocess.stderr: never has an \
             effect; remove the line",
            "warning: conf/workers.properties:27: worker.inprocess.sysprops: never has an \
             effect; remove the line",
        ],
    },
    Shipped {
        name: "Axon Ivy, one engine",
        httpd: "\
JkWorkersFile \"@ROOT@/conf/Program Files/ivy/workers.properties\"
JkShmFile \"@ROOT@/conf/Program Files/ivy/mod_jk.shm\"
JkLogFile \"@ROOT@/conf/Program Files/ivy/mod_jk.log\"
JkLogLevel info
JkLogStampFormat \"[%a %b %d %H:%M:%S %Y] \"
JkMount /ivy/* AxonIvyEngine
<VirtualHost *:81>
    ServerName workflow.example.test
    JkMount /ivy/* AxonIvyEngine
    JkMount /workflow/* AxonIvyEngine
</VirtualHost>
",
        files: &[(
            "conf/Program Files/ivy/workers.properties",
            &["worker.list=AxonIvyEngine\n\
             worker.AxonIvyEngine.type=ajp13 \n\
             worker.AxonIvyEngine.host=localhost\n\
             worker.AxonIvyEngine.port=8009\n"],
        )],
        says: &["warning: conf/test.conf:6: JkMount: no virtual host inherits the main server's \
             mounts: requests that belong to a virtual host do not get to the engine by them; \
             write JkMountCopy All in the main server, or move the mounts into the virtual \
             host"],
    },
    Shipped {
        name: "Axon Ivy, a cluster, with the mistake that every copy has",
        httpd: "\
JkWorkersFile conf/cluster_loadbancer_workers.properties
JkShmFile logs/mod_jk.shm
JkLogFile logs/mod_jk.log
JkLogLevel info
JkLogStampFormat \"[%a %b %d %H:%M:%S %Y] \"
JkMount /ivy/* AxonIvyEngine
",
        files: &[(
            "conf/cluster_loadbancer_workers.properties",
            &[
                "\
worker.list=XIvy
worker.AxonIvyEngine.type=lb
worker.AxonIvyEngine.balance_workers=AxonIvyEngineNode1,AxonIvyEngineNode2

",
                NODES,
            ],
        )],
        says: &[
            "warning: conf/test.conf:6: JkMount: worker AxonIvyEngine is not in worker.list: \
             requests for this path get status 500; add AxonIvyEngine to worker.list, which \
             names XIvy",
            "warning: conf/cluster_loadbancer_workers.properties:1: worker.list: names XIvy, \
             which has no properties; it is type ajp13 at localhost, port 8009; properties \
             without a place in the list exist for AxonIvyEngine",
            "warning: conf/cluster_loadbancer_workers.properties:2: worker.AxonIvyEngine: has \
             properties but is not in worker.list, so it is not used; add AxonIvyEngine to \
             worker.list, or remove its properties",
        ],
    },
    Shipped {
        name: "Axon Ivy, a cluster with the status manager",
        httpd: "\
JkWorkersFile conf/workers.properties
JkShmFile logs/mod_jk.shm
JkLogFile logs/mod_jk.log
JkLogLevel info
JkMount /ivy/* AxonIvyEngine
JkMount /jkmanager/* jkstatus
",
        files: &[(
            "conf/workers.properties",
            &[
                "\
worker.list=AxonIvyEngine,jkstatus
worker.jkstatus.type=status
worker.AxonIvyEngine.type=lb
worker.AxonIvyEngine.balance_workers=AxonIvyEngineNode1,AxonIvyEngineNode2
worker.AxonIvyEngine.sticky_session=True

",
                NODES,
            ],
        )],
        says: &[],
    },
    Shipped {
        name: "Axon Ivy, several engines",
        httpd: "\
JkWorkersFile conf/workers.properties
JkShmFile logs/mod_jk.shm
JkLogFile logs/mod_jk.log
JkLogLevel info
JkMount /ivy/* XpertIvyServer3x
JkMount /ivy5/* AxonIvyEngine5x
",
        files: &[(
            "conf/workers.properties",
            &["\
worker.list=XpertIvyServer3x,AxonIvyEngine5x
worker.XpertIvyServer3x.type=ajp13
worker.XpertIvyServer3x.host=localhost
worker.XpertIvyServer3x.port=8009
worker.AxonIvyEngine5x.type=ajp13
worker.AxonIvyEngine5x.host=localhost
worker.AxonIvyEngine5x.port=8010
"],
        )],
        says: &[],
    },
];
